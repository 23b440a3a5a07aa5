"""A made-up company that uses Amazon Bedrock, and its CloudTrail log for `iamtables demo`."""

DEFAULT_RECORDS = 200_000
DEFAULT_SEED = 20241204
