"""Pulls a MISP feed as MISP does, and holds it to PyMISP.

misp.py URL NAME PASSWORD: prints one JSON object with what it saw. Every event is held to the JSON schema that PyMISP brings,
read by PyMISP, whose own manifest, and hashes of what correlates, must be those of the feed, and its attributes to the types and categories that
MISP knows.
"""
import json
import os
import sys

import jsonschema
import pymisp
import requests

url, name, password = sys.argv[1:4]
data = os.path.join(os.path.dirname(pymisp.__file__), "data")
schema = json.load(open(os.path.join(data, "schema.json")))
kinds = json.load(open(os.path.join(data, "describeTypes.json")))["result"]["category_type_mappings"]
get = lambda path: requests.get(url + path, auth=(name, password), timeout=60)
seen = {"events": {}, "wrong": [], "deleted": []}
wrong = seen["wrong"].append
manifest, hashes = get("manifest.json").json(), []
for uuid, entry in manifest.items():
    text = get(uuid + ".json").json()
    known = {"Event": {k: v for k, v in text["Event"].items() if k != "Object"}}  # the schema is older than objects
    for error in jsonschema.Draft7Validator(schema).iter_errors(known):
        wrong(f"{uuid}: {list(error.path)}: {error.message[:200]}")
    event = pymisp.MISPEvent()
    event.load(text)
    if event.uuid != uuid:
        wrong(f"{uuid}.json is {event.uuid}")
    made = event.manifest[uuid]
    for key in ("info", "date", "analysis", "threat_level_id", "timestamp"):
        if str(made[key]) != str(entry[key]):
            wrong(f"{uuid}: manifest says {key} is {entry[key]}, the event {made[key]}")
    if {t["name"] for t in entry["Tag"]} != {t.name for t in event.tags}:
        wrong(f"{uuid}: other tags in the manifest")
    attributes = event.attributes + [a for o in event.objects for a in o.attributes]
    for a in attributes:
        if a.type not in kinds.get(a.category, []):
            wrong(f"{uuid}: {a.category} has no {a.type}")
    if any(a.deleted for a in attributes):
        seen["deleted"].append(uuid)
    else:
        hashes += [f"{h},{uuid}" for a in attributes if not a.disable_correlation for h in a.hash_values("md5")]
    seen["events"][uuid] = {"info": event.info, "values": [str(a.value) for a in attributes], "tags": [t.name for t in event.tags]}
if sorted(get("hashes.csv").text.split()) != sorted(hashes):
    wrong("hashes.csv has other hashes than PyMISP makes")
print(json.dumps(seen))
