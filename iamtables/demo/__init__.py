"""A made-up company that uses Amazon Bedrock, and its CloudTrail log for `iamtables demo`."""
