"""Reads {"pattern", "minLength", "maxLength", "texts"} as JSON, and prints which texts Python's re finds valid."""
import json
import re
import sys

limits = json.load(sys.stdin)
lengths = range(limits["minLength"], limits["maxLength"] + 1)
print(json.dumps([len(text) in lengths and bool(re.search(limits["pattern"], text)) for text in limits["texts"]]))
