"""Free text of many forms becomes concise steps; the same text always the same ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.answers.rationale import MAX_STEPS, STEP_CHARS, extract_steps


def texts(text: str) -> list[str]:
    return [step.text for step in extract_steps(text)]


TWO = ["He smiles at 1.5 s.", "The voice is loud."]


@pytest.mark.parametrize(
    "text",
    [
        "Step 1: He smiles at 1.5 s.\nStep 2: The voice is loud.",
        "**Step 1:** He smiles at 1.5 s.\n\n**Step 2:** The voice is loud.",
        "Step 1 - He smiles at 1.5 s. Step 2 - The voice is loud.",
        "### Step 1\nHe smiles at 1.5 s.\n### Step 2\nThe voice is loud.",
        "Reasoning:\n1. He smiles at 1.5 s.\n2. The voice is loud.",
        "1) He smiles at 1.5 s.\n2) The voice is loud.",
        "(1) He smiles at 1.5 s.\n(2) The voice is loud.",
        "[1] He smiles at 1.5 s.\n[2] The voice is loud.",
        "a) He smiles at 1.5 s.\nb) The voice is loud.",
        "i. He smiles at 1.5 s.\nii. The voice is loud.",
        "\u2460 He smiles at 1.5 s.\n\u2461 The voice is loud.",
        "1\u3001He smiles at 1.5 s.\n2\u3001The voice is loud.",
        "- He smiles at 1.5 s.\n- The voice is loud.",
        "* He smiles at 1.5 s.\n* The voice is loud.",
        "\u2022 He smiles at 1.5 s.\n\u2022 The voice is loud.",
        "Clues: 1. He smiles at 1.5 s. 2. The voice is loud.",
        "First, he smiles at 1.5 s. Finally, the voice is loud.",
        "Firstly, he smiles at 1.5 s. Secondly, the voice is loud.",
        "Let's look at the clip.\n\nHe smiles at 1.5 s.\n\nThe voice is loud.",
        "He smiles at 1.5 s.\n\nThe voice is loud.",
        "He smiles at 1.5 s. The voice is loud.",
        "He smiles at 1.5 s. The voice is loud. He smiles at 1.5 s!",
    ],
)
def test_the_usual_forms_give_the_same_steps(text: str) -> None:
    assert texts(text) == TWO


def test_citations_become_ids_and_leave_the_text() -> None:
    steps = extract_steps("1. A smile (e1, e2).\n2. The voice [Evidence e3 and e1] rises.\n3. e2 decides.")
    assert [step.text for step in steps] == ["A smile.", "The voice rises.", "e2 decides."]
    assert [step.evidence_ids for step in steps] == [("e1", "e2"), ("e3", "e1"), ()]
    assert [step.n for step in steps] == [1, 2, 3]


def test_lines_below_a_step_belong_to_it_and_what_follows_does_not() -> None:
    text = "1. Face:\n   - smile\n   - open eyes\n2. Voice rises.\n\nIn conclusion, it is joy."
    assert texts(text) == ["Face: smile open eyes", "Voice rises.", "In conclusion, it is joy."]


def test_what_only_connects_stays_with_what_it_connects() -> None:
    text = (
        "He smiles. His eyes are wide. However, the voice is flat. It hardly moves. Therefore it is a mask."
    )
    assert texts(text) == [
        "He smiles. His eyes are wide.",
        "However, the voice is flat. It hardly moves.",
        "Therefore it is a mask.",
    ]


def test_other_scripts_are_read() -> None:
    assert texts("他笑了。声音很大。所以是快乐。") == ["他笑了。", "声音很大。", "所以是快乐。"]


@pytest.mark.parametrize("text", ["", " \n\n", "---\n***", "Reasoning:", "1.\n2.", "\x00\ud800"[:1]])
def test_nothing_is_no_step(text: str) -> None:
    assert [step for step in extract_steps(text) if step.text.isalnum()] == []


def test_many_long_and_repeated_steps_are_few_short_ones_and_the_last_is_kept() -> None:
    long = "\n".join(f"{n}. Reason {n} " + "very " * 200 + "good." for n in range(1, 40))
    steps = extract_steps(f"{long}\n40. So it is joy.\n41. So it is joy.")
    assert len(steps) == MAX_STEPS
    assert steps[-1].text == "So it is joy."
    assert all(len(step.text) <= STEP_CHARS for step in steps)
    assert steps[0].text.endswith("\u2026")


def test_a_real_record_of_another_tool_is_made_concise(media: Callable[[str], Path]) -> None:
    """MER-Factory's example (MIT): six paragraphs, 3,000 characters."""
    path = media("../tables/merfactory_gemini_merr.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    steps = extract_steps(record["final_summary"])
    assert len(steps) == 6
    assert steps[0].text.startswith("The initial peak at 2.88 seconds reveals")
    assert steps[-1].text.startswith("In conclusion, the core emotional state is frustration")
    said = " ".join(record["final_summary"].split())
    assert all(sentence in said for step in steps for sentence in [step.text])
    objective = extract_steps(record["coarse_descriptions_at_peak"]["visual_objective"])
    assert [step.text for step in objective][2] == "He is male."


def test_real_scenarios_are_divided_at_their_sentences(media: Callable[[str], Path]) -> None:
    """EmoBench (MIT): 400 scenarios in English and Chinese."""
    path = media("../tables/emobench_EA.jsonl")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for row in rows:
        said = " ".join(row["scenario"].split())
        steps = extract_steps(row["scenario"])
        assert steps
        kept = sum(len(step.text) for step in steps)
        assert kept <= len(said) + len(steps)
        assert kept > 0.6 * min(len(said), STEP_CHARS)


parts = st.sampled_from(
    ["Step 1:", "1.", "2)", "- ", "* ", "First,", "then", "e1", "[e2]", "(e3, e4)", "\n", "\n\n", ":", "**", "#",
     "1. 2.", "In conclusion,", "He smiles.", "The voice rises!", "\u3002", "\u2460", "\u202e", "...", "\x00"]
)  # fmt: skip


@given(st.lists(parts | st.text(max_size=12), max_size=30).map(" ".join))
def test_any_text_gives_few_short_steps_and_those_give_themselves(text: str) -> None:
    steps = extract_steps(text)
    assert steps == extract_steps(text)
    assert [step.n for step in steps] == list(range(1, len(steps) + 1))
    assert len(steps) <= MAX_STEPS
    assert all(step.text and len(step.text) <= STEP_CHARS for step in steps)
    assert len({step.text for step in steps}) == len(steps)
    "".join(step.text for step in steps).encode()


@pytest.mark.parametrize(
    "text",
    [
        "1. " * 100_000,
        "Step 1: " * 100_000,
        "a. " * 100_000,
        "(e1" * 100_000,
        "\n" * 1_000_000,
        " " * 1_000_000,
    ],
)
def test_no_text_makes_it_slow(text: str) -> None:
    """Work that grows with the square of the length would run into the suite's time limit here."""
    assert len(extract_steps(text)) <= MAX_STEPS


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        (
            "推理过程如下：\n1.面部：嘴角上扬[e1]。\n2、语音：音调更高[e2]。\n综上所述，情绪为喜悦。",
            ["面部：嘴角上扬。", "语音：音调更高。", "综上所述，情绪为喜悦。"],
        ),
        ("首先，她在笑。最后，她说“好！”，很好。因此是喜。", ["她在笑。", "她说“好！”，很好。", "因此是喜。"]),
        ("她说：“走吧！”她笑了。", ["她说：“走吧！”", "她笑了。"]),
        ("第一，她在笑。第二，声音很高。", ["她在笑。", "声音很高。"]),
        ("步骤1：她在笑。\n步骤2：声音很高。", ["她在笑。", "声音很高。"]),
        ("第一步：她在笑。\n第二步：声音很高。", ["她在笑。", "声音很高。"]),
        ("Schritt 1: Sie lächelt.\nSchritt 2: Also Freude.", ["Sie lächelt.", "Also Freude."]),
        ("1단계: 미소를 짓는다.\n2단계: 따라서 기쁨이다.", ["미소를 짓는다.", "따라서 기쁨이다."]),
        ("1.She smiles\n2.The pitch rises from 0.5 s", ["She smiles", "The pitch rises from 0.5 s"]),
        (
            "- She smiles, i.e. AU12.\n- Her pitch is up.\nTherefore it is joy.\n\nI hope this helps!",
            ["She smiles, i.e. AU12.", "Her pitch is up.", "Therefore it is joy."],
        ),
        ("Dr. Smith smiles, e.g. AU12. Mr. Lee does not.", ["Dr. Smith smiles, e.g. AU12.", "Mr. Lee does not."]),
    ],
)  # fmt: skip
def test_steps_as_open_models_write_them(text: str, steps: list[str]) -> None:
    assert [step.text for step in extract_steps(text)] == steps
