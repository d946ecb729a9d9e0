"""The chat template of an instruction-tuned model, as a text before and after what is asked.

A prompt is read in two parts, of which the first, the fixed instructions, is computed once; so the
template is taken apart rather than applied to every prompt.
"""

from __future__ import annotations

from typing import Any, NamedTuple

#: Stands for what is asked while the template is read; a template may trim blanks around it.
_MARK = "MECOPT-QUESTION"


class Frame(NamedTuple):
    """What stands around a question; both empty where there is no template."""

    before: str = ""
    after: str = ""

    def answer(self, name: str) -> str:
        """What the model is to write for a name: within a turn of its own no blank leads it."""
        return name if self.after or not name else f" {name}"


def frame_of(tokenizer: Any) -> Frame:
    """The frame of one user turn that the model is to answer.

    A token that begins texts is left out where the tokenizer adds it by itself.

    Raises
    ------
    ValueError
        If the template does not show what the user says.
    """
    if not getattr(tokenizer, "chat_template", None):
        return Frame()
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": _MARK}], tokenize=False, add_generation_prompt=True
    )
    before, mark, after = text.partition(_MARK)
    if not mark:
        raise ValueError(
            "model: its chat template does not show what the user says; set chat=false"
        )
    begin = tokenizer.bos_token
    if begin and tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id]:
        before = before.removeprefix(begin)
    return Frame(before, after)
