"""Providers: name -> where it lives. One file and one line here add one."""

PROVIDERS: dict[str, str] = {
    "cues": "agents.providers.cues:CueProvider",
    "gemini": "agents.providers.gemini:GeminiProvider",
    "openai": "agents.providers.openai:OpenAIProvider",
    "openai_compatible": "agents.providers.openai_compatible:OpenAICompatibleProvider",
    "scripted": "agents.providers.scripted:ScriptedProvider",
}
