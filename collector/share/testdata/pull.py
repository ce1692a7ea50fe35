"""Pulls everything from a TAXII server as a CERT's script would, and holds it to STIX 2.1.

pull.py API_ROOT_OR_DISCOVERY_URL NAME PASSWORD PAGE: prints one JSON object with what it saw. Every object is parsed by
stix2 strictly; observables are made again by stix2 from their members, which must give the same identifier; what
stix2-validator, where it is installed, calls a must is an error, what it calls a should is told.
"""
import json
import sys

import stix2
from taxii2client.v21 import Server, as_pages

url, name, password, page = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
server = Server(url, user=name, password=password)
root = server.default
collection = root.collections[0]
seen = {
    "title": server.title, "versions": root.versions, "collections": [c.id for c in root.collections],
    "can_write": collection.can_write, "types": {}, "ids": [], "pages": 0, "wrong": [],
}
objects = []
for envelope in as_pages(collection.get_objects, per_request=page):
    seen["pages"] += 1
    objects += envelope.get("objects", [])
manifest = []
for envelope in as_pages(collection.get_manifest, per_request=page):
    manifest += [o["id"] for o in envelope.get("objects", [])]
if manifest != [o["id"] for o in objects]:
    seen["wrong"].append("manifest and objects differ")

for o in objects:
    seen["ids"].append(o["id"])
    seen["types"][o["type"]] = seen["types"].get(o["type"], 0) + 1
    try:
        parsed = stix2.parse(o, allow_custom=False, version="2.1")
        if o["type"] in ("ipv4-addr", "ipv6-addr", "mac-addr", "network-traffic"):
            again = dict(o)
            del again["id"]
            made = stix2.parse(again, allow_custom=False, version="2.1")
            if made.id != o["id"]:
                seen["wrong"].append("%s: stix2 makes it %s" % (o["id"], made.id))
        if json.loads(parsed.serialize())["id"] != o["id"]:
            seen["wrong"].append("%s: changes when parsed" % o["id"])
    except Exception as e:
        seen["wrong"].append("%s: %s" % (o["id"], e))

try:
    # The wheel of stix2-validator has no JSON schemas, so its coded checks are called one by one.
    from stix2validator import ValidationOptions
    from stix2validator.v21 import musts, shoulds
    options = ValidationOptions(version="2.1", strict_types=True)
    seen["validated"], seen["warnings"] = 0, []

    def findings(check, o):
        wants_options = check.__code__.co_argcount == 2 if hasattr(check, "__code__") else False
        found = check(o, options) if wants_options else check(o)
        return [] if found is None else [found] if isinstance(found, Exception) else list(found)

    for o in objects:
        for check in musts.list_musts(options):
            seen["wrong"] += ["%s: %s" % (o["id"], e) for e in findings(check, o)]
        for check in shoulds.list_shoulds(options):
            seen["warnings"] += ["%s: %s" % (o["type"], e) for e in findings(check, o)
                                 if "{103}" not in str(e)]  # UUIDv4 for identifiers: ours are meant to be the same each time
        seen["validated"] += 1
    seen["warnings"] = sorted(set(seen["warnings"]))
except ImportError:
    pass

try:
    for o in objects[:3]:
        collection.get_object(o["id"])
        collection.object_versions(o["id"])
except Exception as e:
    seen["wrong"].append("one object: %s" % e)
json.dump(seen, sys.stdout)
