#!/usr/bin/env bash
# Fills organization/ with the tree of units and accounts and their SCPs and RCPs. Run it with
# credentials of the management account, or of an account that administers policies for it:
#
#     ./fill-organization.sh --profile PROFILE
#
# Every argument goes to `aws`. Needs the AWS CLI and the permissions organizations:Describe* and
# organizations:List*.
set -eu -o pipefail
cd "$(dirname "$0")"

place=organization
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT
mkdir -p "$place"/{units,accounts,scps,rcps,policies}

# ids FILE PATTERN: the ids that a listing names
ids() { { grep -oE "\"Id\": *\"$2\"" "$1" || true; } | cut -d'"' -f4; }

# attached TARGET ...: its SCPs and RCPs; what fails leaves an empty file, which counts as not known
attached() {
  local target=$1 kind
  shift
  for kind in scps:SERVICE_CONTROL_POLICY rcps:RESOURCE_CONTROL_POLICY; do
    local file=$place/${kind%%:*}/$target.json
    if ! aws organizations list-policies-for-target --target-id "$target" \
      --filter "${kind#*:}" "$@" > "$file" 2> "$errors"; then
      : > "$file"
      if grep -q PolicyTypeNotEnabled "$errors"; then rm "$file"; else cat "$errors" >&2; fi
    fi
  done
}

walk() {
  local parent=$1 child
  shift
  attached "$parent" "$@"
  aws organizations list-accounts-for-parent --parent-id "$parent" "$@" \
    > "$place/accounts/$parent.json"
  for child in $(ids "$place/accounts/$parent.json" '[0-9]{12}'); do attached "$child" "$@"; done
  aws organizations list-organizational-units-for-parent --parent-id "$parent" "$@" \
    > "$place/units/$parent.json"
  for child in $(ids "$place/units/$parent.json" 'ou-[0-9a-z-]+'); do walk "$child" "$@"; done
}

aws organizations describe-organization "$@" > "$place/organization.json"
aws organizations list-roots "$@" > "$place/roots.json"
for root in $(ids "$place/roots.json" 'r-[0-9a-z]+'); do walk "$root" "$@"; done

for listing in "$place"/scps/*.json "$place"/rcps/*.json; do
  [ -f "$listing" ] || continue
  for policy in $(ids "$listing" 'p-[0-9A-Za-z_]+'); do
    [ -s "$place/policies/$policy.json" ] ||
      aws organizations describe-policy --policy-id "$policy" "$@" > "$place/policies/$policy.json"
  done
done
echo "$place is filled" >&2
