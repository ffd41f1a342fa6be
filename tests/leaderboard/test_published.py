"""The published numbers stand as they were reported, apart from ours."""

from finbench.leaderboard import published, published_finlora


def test_scores_methods_and_costs_are_those_of_the_documents() -> None:
    llama = {one.name: one for one in published.lines_of("ner")}
    small = llama["Llama-3.1-8B-Instruct-4bits-r4 (reported)"]
    assert (small.accuracy, small.f1, small.hours, small.mebibytes, small.seconds) == (
        0.9663,
        0.9664,
        "0.77 x 4",
        4.5,
        0.1,
    )
    assert llama["Llama-3.1-70B-Instruct-4bits-r4 (reported)"].accuracy == 0.9888
    assert published.eight_b("xbrl_values") == "0.553 → 0.974" and published.eight_b("my_task") == "–"
    methods = {(model, method): values for model, method, values in published.methods_of("fpb")}
    assert methods["gpt2 (reported)", "bottleneck adapter"][0] == 0.8088 and len(published.lines_of("tfns")) == 12
    assert [one.gigabytes for one in published.trainings() if one.task == "xbrl"] == [139.2, 152.2]
    assert "December 2024" in published.sources(["ner"]) and "13500 / 3500" in published.sources(["ner"])


def test_finloras_further_tasks_stand_as_it_reported_them() -> None:
    accuracy, f1 = published_finlora.reported("accuracy"), published_finlora.reported("f1_weighted")
    assert "0.7432" in accuracy and "0.6660" in accuracy and "BERTScore" in accuracy and "247" in accuracy
    assert "0.7600" in f1 and "0.6660" not in f1 and "as reported" in f1
    assert dict(published_finlora.lines_of("formula"))["llama3.1-8b rslora"] == 0.345
    assert published_finlora.lines_of("fpb") == () == published_finlora.lines_of("financebench", "f1_weighted")
    beside = {one.name: one for one in published.lines_of("finer")}
    assert beside["llama3.1-8b lora (reported)"].accuracy == 0.741 and "FinLoRA" in published.sources(["finer"])
