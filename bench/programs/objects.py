"""Builds and drops many small Python objects; run with PYTHONMALLOC=malloc, so that each is a malloc."""
import json
import re

records = [
    {"id": i, "name": f"name-{i}", "tags": [f"t{j}" for j in range(i % 7)], "score": i * 0.5}
    for i in range(60000)
]
text = json.dumps(records)
again = json.loads(text)
words = {}
for match in re.finditer(r"[a-z]+-?\d*", text):
    words.setdefault(match.group(), []).append(match.start())
pairs = sorted((len(places), word) for word, places in words.items())
tree = None
for i in range(200000):
    tree = (tree if i % 50 else None, [i], str(i))
print(len(again), len(words), pairs[-1])
