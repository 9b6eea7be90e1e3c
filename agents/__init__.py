"""Ask a model, parse its answer, check its claims, rate it. Imports schemas; never the store.

From above to below, and each sees only what stands below it (`make imports` checks):

    annotators, judges    who is asked about what, and what becomes of the answer
    asking                what both share: items in, records out
    calls, providers      the one loop that asks, and one file for each vendor's protocol
    answers, cue_rules    any text to a typed answer or a reason; answers by rule, without a model
    evidence              what a claim says, and whether the signal bears it out
    questions             records to the text, media and schema of a request
    protocol              `Request`, `Response`, `Provider`

`prompts/` and `data/` hold texts and tables; `prices`, `tokens` and `servers` tell what a question will cost.
"""
