import logging

from overlens.notices import tell


def test_sentences_are_logged_once_each_and_returned_with_their_subject(caplog):
    with caplog.at_level(logging.WARNING, "overlens"):
        told = tell("birds", ["one thing", "another 100%"])
    assert told == caplog.messages == ["birds: one thing", "birds: another 100%"]
    assert all(record.name.startswith("overlens") for record in caplog.records)


def test_nothing_to_say_is_nothing(caplog):
    assert tell("birds", []) == [] == caplog.messages
