"""Labels of answers with several tokens, worked out by hand for a tokenizer of letters."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from learning.language.token_label_sft import collate, label_loss, labelled_row

END = 0
TEXT = "x\nlocal\nB\nC\ndrop\n?"


class Letters:
    """One token a letter, its code; 0 ends a text."""

    eos_token_id = END

    def __call__(self, text, return_offsets_mapping=False, add_special_tokens=True):
        read = {"input_ids": [ord(letter) for letter in text]}
        if return_offsets_mapping:
            read["offset_mapping"] = [(i, i + 1) for i in range(len(text))]
        return read


def row(answers, cost, listed=(0, 1, 2, 3), lines_weight=3.0):
    return labelled_row(
        Letters(), "go\n", TEXT, answers, listed, np.array(cost), temperature_slots=1.0,
        lines_weight=lines_weight,
    )  # fmt: skip


def labels_at(found, place):
    return {
        chr(t): w
        for p, t, w in zip(found["place"], found["token"], found["weight"], strict=True)
        if p == place
    }


def test_costs_are_shared_over_names_of_one_token():
    """Costs 1, 1 + log 3, 1: shares 3/7, 1/7, 3/7; the drop is out of reach."""
    found = row(["L", "B", "C", "D"], [1.0, 1.0 + np.log(3), 1.0, np.inf])
    prompt = "go\n" + TEXT
    assert found["input_ids"] == [*map(ord, prompt), ord("L"), END]
    last = len(prompt) - 1
    assert labels_at(found, last) == pytest.approx({"L": 3 / 7, "B": 1 / 7, "C": 3 / 7})
    assert labels_at(found, last + 1) == {chr(END): 1.0}
    # After "B\n" the best so far is local 3 : 1, a third of lines_weight = 3.
    place = prompt.index("B\n") + 1
    assert labels_at(found, place) == pytest.approx({"L": 3 / 4, "B": 1 / 4})
    assert labels_at(found, prompt.index("local\n") + 5) == {}  # nothing to compare yet


def test_names_of_several_tokens_are_labelled_along_the_cheapest():
    """s1, s2 and t share 1/4, 1/2, 1/4: s takes 3/4 at first, then 2 has 2/3 of it."""
    cost = -np.log([1 / 4, 1 / 2, 1 / 4])
    found = row(["s1", "s2", "t"], cost, listed=(0, 1, 2), lines_weight=0.0)
    last = len("go\n" + TEXT) - 1
    assert labels_at(found, last) == pytest.approx({"s": 3 / 4, "t": 1 / 4})
    assert labels_at(found, last + 1) == pytest.approx({"1": 1 / 3, "2": 2 / 3})
    assert labels_at(found, last + 2) == {chr(END): 1.0}


def test_the_loss_is_the_weighted_cross_entropy_at_the_labelled_places():
    """Equal logits over 128 words: every label costs log 128; three lines count 1 each here."""
    two = [row(["L", "B", "C", "D"], [1.0, 2.0, 3.0, 4.0]) for _ in range(2)]
    two[1] = row(["L", "", "C", "D"], [4.0, np.inf, 1.0, 2.0], listed=(0, 2, 3))

    class Even:
        def __call__(self, input_ids, attention_mask, logits_to_keep, use_cache):
            self.mask = attention_mask
            shape = (*input_ids.shape[:1], len(logits_to_keep), 128)
            return type("Output", (), {"logits": torch.zeros(shape)})

    model, batch = Even(), collate(two, pad=END)
    # Answer 1 + end 1 + lines 3, for both.
    assert float(label_loss(model, **batch)) == pytest.approx(5 * np.log(128), rel=1e-5)
    assert model.mask.sum(dim=1).tolist() == [len(r["input_ids"]) for r in two]
