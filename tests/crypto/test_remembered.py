"""Whoever sends new quotes all day costs no memory; what is forgotten is found again."""

from troth.crypto.remembered import Remembered


def test_what_is_remembered_is_bounded() -> None:
    answers: Remembered[int, bool] = Remembered(4)
    most = 0
    for question in range(20):
        assert question not in answers
        assert answers.keep(question, True)
        assert answers[question]
        most = max(most, len(answers))
    assert most == 4
