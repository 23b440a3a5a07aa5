"""Condition keys by name: the kinds that AWS declares (section 4 of docs/spec/semantics.md, CTX-1,
COND-11), and names that stand for several.
"""

from __future__ import annotations

from collections.abc import Iterable

from .codes import KeyKind

_MULTI = """
aws:PrincipalOrgPaths aws:PrincipalServiceNamesList aws:VpceOrgPaths aws:ResourceOrgPaths
aws:TagKeys aws:CalledVia aws:SourceOrgPaths
"""

_SINGLE = """
aws:PrincipalArn aws:PrincipalAccount aws:PrincipalType aws:userid aws:username aws:PrincipalOrgID
aws:PrincipalIsAWSService aws:PrincipalServiceName aws:AssumedRoot aws:FederatedProvider
aws:TokenIssueTime aws:MultiFactorAuthPresent aws:MultiFactorAuthAge aws:SourceIdentity
aws:ChatbotSourceArn aws:Ec2InstanceSourceVpc aws:Ec2InstanceSourcePrivateIPv4 ec2:RoleDelivery
ec2:SourceInstanceArn lambda:SourceFunctionArn ssm:SourceInstanceArn glue:RoleAssumedBy
glue:CredentialIssuingService identitystore:UserId aws:SourceIp aws:VpcSourceIp aws:SourceVpce
aws:SourceVpc aws:SourceVpcArn aws:VpceAccount aws:VpceOrgID aws:ResourceAccount aws:ResourceOrgID
aws:RequestedRegion aws:CurrentTime aws:EpochTime aws:SecureTransport aws:UserAgent aws:referer
aws:ViaAWSService aws:CalledViaFirst aws:CalledViaLast aws:SourceArn aws:SourceAccount
aws:SourceOrgID aws:SourceOwner aws:ViaAWSMCPService aws:CalledViaAWSMCP aws:IsMcpServiceAction
"""

_SINGLE_PREFIXES = ("aws:principaltag/", "aws:requesttag/", "aws:resourcetag/")  # CTX-11

_KINDS = {name.lower(): KeyKind.SINGLE for name in _SINGLE.split()}
_KINDS |= {name.lower(): KeyKind.MULTI for name in _MULTI.split()}


def key_kind(name: str) -> KeyKind:
    """Declared kind of a key, compared without case (CTX-2)."""
    lowered = name.lower()
    if lowered.startswith(_SINGLE_PREFIXES):
        return KeyKind.SINGLE
    return _KINDS.get(lowered, KeyKind.FREE)


def is_key_named(key: str, names: Iterable[str]) -> bool:
    """Whether one of the names is that of the key, whatever its case, or `prefix/*` of it."""
    lowered = key.lower()
    return any(
        lowered.startswith(name[:-1].lower()) if name.endswith("*") else lowered == name.lower()
        for name in names
    )
