# METADATA
# title: Browser add-ons are the approved ones
# description: >-
#   A browser add-on can read every page, including the voter registration system.
# custom:
#   id: MVS-APP-05
#   severity: medium
#   profiles: [workstation]
#   platforms: [windows, linux]
#   facts: [browser_extensions, browser_files]
#   also: [firefox_extensions]
#   lists: [extensions_allowed]
#   maps:
#     cis: ["9.4"]
#     cpg1: ["2.Q"]
#     cpg2: ["3.P"]
#     csf: ["PR.PS-05"]
#     belfer: ["6"]
#     nist: ["CM-11"]
#   remedy: >-
#     Open the browser add-ons page and remove everything that work does not need. Ask IT to allow only an approved list.
package muster.controls.app_05

extensions contains e if some e in input.facts.browser_extensions

extensions contains e if some e in input.facts.firefox_extensions

allowed := {lower(id) | some id in data.lists.extensions_allowed}

stores := `^https://(clients2\.google\.com/service/update2/crx|edge\.microsoft\.com/extensionwebstorebase/|addons\.mozilla\.org/)`

subject(e) := sprintf("%s (%s of %s)", [e.name, e.browser, e.username])

# Firefox does not say it in a word, but where the add-on came from.
from_store(e) := lower(object.get(e, "from_webstore", "1"))

violations contains {"subject": subject(e), "found": sprintf("add-on %s", [e.identifier]), "want": "on the list extensions_allowed, or removed"} if {
	some e in extensions
	not lower(e.identifier) in allowed
}

violations contains {"subject": subject(e), "found": "not from the browser's store", "want": "from the browser's store"} if {
	some e in extensions
	from_store(e) in {"0", "false"}
}

violations contains {"subject": subject(e), "found": sprintf("comes from %s", [e.update_url]), "want": "from the browser's store"} if {
	some e in extensions
	e.update_url != ""
	not regex.match(stores, e.update_url)
}

unknown contains sprintf("cannot see where %s came from", [subject(e)]) if {
	some e in extensions
	not told(e)
}

told(e) if {
	from_store(e) in {"0", "1", "false", "true"}
	e.update_url != ""
}

unknown contains sprintf("the add-ons of %s cannot be read", [b.path]) if {
	some b in input.facts.browser_files
	regex.match(`^(/snap|/var/lib/flatpak)/`, b.path)
}

inapplicable contains "no browser with add-ons was found" if {
	count(input.facts.browser_files) == 0
	count(extensions) == 0
}
