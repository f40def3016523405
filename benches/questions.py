#!/usr/bin/env python3
"""questions.py QUESTIONS.json RUN   how well a ranking answers the questions of a workload

RUN is a run file (query-id TAB path TAB rank TAB score, one header line) or, for each question
asked alone, the output of `search --json`: lines of JSON, each hit with `path`, and after the hits
of one question its envelope; then the n-th envelope ends the n-th question.

A question has one judged page; its translations count as it. MRR@10 is the mean of 1/rank of the
first of them within ten distinct paths. With --list each question's rank is printed."""
import json
import sys


def runs(path, ids):
    """Paths by question, the best first, each once."""
    found = {}
    with open(path, encoding="utf-8") as lines:
        first = lines.read(1)
        lines.seek(0)
        if first == "{":
            at = 0
            for line in lines:
                value = json.loads(line)
                if "path" in value:
                    found.setdefault(ids[at], []).append(value["path"])
                else:
                    at += 1
        else:
            ranked = {}
            for line in lines:
                fields = line.rstrip("\n").split("\t")
                if len(fields) >= 3 and fields[2].isdigit():
                    ranked.setdefault(fields[0], []).append((int(fields[2]), fields[1]))
            found = {id: [path for _, path in sorted(hits)] for id, hits in ranked.items()}
    return {id: list(dict.fromkeys(paths)) for id, paths in found.items()}


def main():
    args = [arg for arg in sys.argv[1:] if arg != "--list"]
    if len(args) != 2:
        sys.exit(__doc__)
    with open(args[0], encoding="utf-8") as file:
        questions = json.load(file)["questions"]
    found = runs(args[1], [question["id"] for question in questions])
    ranks = []
    for question in questions:
        judged = set(question["relevant_paths"]) | set(question.get("also_relevant", []))
        paths = [path.lstrip("/") for path in found.get(question["id"], [])]
        rank = next((at for at, path in enumerate(paths, 1) if path in judged), 0)
        ranks.append(rank)
        if "--list" in sys.argv:
            print(question["id"], rank, question["question"], *paths[:1], sep="\t")
    within = lambda k: sum(0 < rank <= k for rank in ranks)
    mrr = sum(1 / rank for rank in ranks if 0 < rank <= 10) / len(ranks)
    print(f"MRR@10 {mrr:.4f} hits@1/5/10 {within(1)}/{within(5)}/{within(10)} of {len(ranks)}")


if __name__ == "__main__":
    main()
