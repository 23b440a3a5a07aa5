#!/usr/bin/env bash
# Fills accounts/ACCOUNT/ with what the credentials at hand may read. Run it once per account:
#
#     ./fill-account.sh --profile PROFILE
#     REGIONS="eu-west-1 us-east-1" ./fill-account.sh --profile PROFILE
#
# Every argument goes to `aws`. Needs the AWS CLI, and permissions to list and to read policies only
# (SecurityAudit has nearly all of them). A command that fails leaves an empty file, which counts as
# "not known"; a resource without a policy gets {}.
set -u -o pipefail
cd "$(dirname "$0")" || exit

caller=$(aws sts get-caller-identity --query '[Account,Arn]' --output text "$@") || exit
read -r account arn <<< "$caller"
partition=$(cut -d: -f2 <<< "$arn")
place=accounts/$account
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT
incomplete=
mkdir -p "$place/resources"

# save FILE COMMAND...: what the command prints
save() {
  local file=$1
  shift
  "$@" > "$file" 2> "$errors" && return
  if grep -Eq 'NoSuchBucketPolicy|ResourceNotFound|PolicyNotFound|EntityNotFound' "$errors"; then
    echo '{}' > "$file"
  else
    : > "$file"
    echo "$file: $(tr -s '\n' ' ' < "$errors")" >&2
  fi
}

# policies SERVICE LIST...: the resources that a command lists; the service's directory says that all
# of its policies are here, so it goes away again when a listing fails
listed=
policies() {
  local service=$1
  shift
  mkdir -p "$place/resources/$service"
  if ! listed=$("$@" --output text 2> "$errors"); then
    incomplete="$incomplete $service"
    echo "$service: $(tr -s '\n' ' ' < "$errors")" >&2
    listed=
  fi
  [ "$listed" = None ] && listed=
  return 0
}

# file SERVICE ARN: the file of a resource, named after its percent-encoded ARN
file() {
  local name=${2//%/%25}
  name=${name//:/%3A}
  echo "$place/resources/$1/${name//\//%2F}.json"
}

save "$place/authorization-details.json" aws iam get-account-authorization-details "$@"

policies s3 aws s3api list-buckets --query 'Buckets[].Name' "$@"
for bucket in $listed; do
  save "$(file s3 "arn:$partition:s3:::$bucket")" aws s3api get-bucket-policy --bucket "$bucket" "$@"
done

regions=${REGIONS:-$(aws ec2 describe-regions --query 'Regions[].RegionName' --output text "$@")}
for region in $regions; do
  in=(--region "$region" "$@")
  here=$partition:%s:$region:$account

  save "$place/endpoints-$region.json" aws ec2 describe-vpc-endpoints "${in[@]}"
  save "$place/kms-aliases-$region.json" aws kms list-aliases "${in[@]}"

  policies kms aws kms list-keys --query 'Keys[].KeyArn' "${in[@]}"
  for key in $listed; do
    save "$(file kms "$key")" aws kms get-key-policy --policy-name default --key-id "$key" "${in[@]}"
  done

  policies sqs aws sqs list-queues --query 'QueueUrls' "${in[@]}"
  for url in $listed; do
    # shellcheck disable=SC2059
    queue=arn:$(printf "$here" sqs):${url##*/}
    save "$(file sqs "$queue")" \
      aws sqs get-queue-attributes --attribute-names QueueArn Policy --queue-url "$url" "${in[@]}"
  done

  policies sns aws sns list-topics --query 'Topics[].TopicArn' "${in[@]}"
  for topic in $listed; do
    save "$(file sns "$topic")" aws sns get-topic-attributes --topic-arn "$topic" "${in[@]}"
  done

  policies secretsmanager aws secretsmanager list-secrets --query 'SecretList[].ARN' "${in[@]}"
  for secret in $listed; do
    save "$(file secretsmanager "$secret")" \
      aws secretsmanager get-resource-policy --secret-id "$secret" "${in[@]}"
  done

  policies lambda aws lambda list-functions --query 'Functions[].FunctionArn' "${in[@]}"
  for function in $listed; do
    save "$(file lambda "$function")" aws lambda get-policy --function-name "$function" "${in[@]}"
  done

  policies ecr aws ecr describe-repositories --query 'repositories[].repositoryArn' "${in[@]}"
  for repository in $listed; do
    save "$(file ecr "$repository")" \
      aws ecr get-repository-policy --repository-name "${repository#*:repository/}" "${in[@]}"
  done

  policies dynamodb aws dynamodb list-tables --query 'TableNames' "${in[@]}"
  for name in $listed; do
    # shellcheck disable=SC2059
    table=arn:$(printf "$here" dynamodb):table/$name
    save "$(file dynamodb "$table")" \
      aws dynamodb get-resource-policy --resource-arn "$table" "${in[@]}"
  done
done

for service in $incomplete; do
  [ -d "$place/resources/$service" ] || continue
  find "$place/resources/$service" -name '*.json' -exec mv {} "$place/resources/" \;
  rmdir "$place/resources/$service"
done
echo "$place is filled" >&2
