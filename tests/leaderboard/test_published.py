"""The published numbers stand as they were reported, apart from ours."""

from finbench.leaderboard import published, published_finlora


def test_scores_methods_and_costs_are_those_of_the_documents() -> None:
    accuracy, f1 = published.reported_scores("accuracy"), published.reported_scores("f1_weighted")
    assert "0.8630" in accuracy and "0.9736" in accuracy and "0.8600" in f1 and "as reported" in accuracy
    methods = published.reported_methods()
    assert all(value in methods for value in ("0.7950", "0.8555", "bottleneck"))
    assert "139.2" in published.reported_efficiency() and "**" not in accuracy


def test_finloras_further_tasks_stand_as_it_reported_them() -> None:
    accuracy, f1 = published_finlora.reported("accuracy"), published_finlora.reported("f1_weighted")
    assert "0.7432" in accuracy and "0.6660" in accuracy and "BERTScore" in accuracy and "247" in accuracy
    assert "0.7600" in f1 and "0.6660" not in f1 and "as reported" in f1
    assert dict(published_finlora.lines_of("formula"))["llama3.1-8b rslora"] == 0.345
    assert published_finlora.lines_of("fpb") == () == published_finlora.lines_of("financebench", "f1_weighted")
