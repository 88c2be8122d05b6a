"""Corrections of MiniStack's front door, Secrets Manager, EventBridge and S3, see patches.py."""

import json
import os

import ministack.app as app
import ministack.core.iam_actions as iam_actions
import ministack.services.cloudformation.provisioners as provisioners
import ministack.services.eventbridge as eventbridge
import ministack.services.kms as kms
import ministack.services.s3 as s3
import ministack.services.secretsmanager as secrets
from ministack.core.responses import json_response

from rewriting import rewrite


def bind_behind_the_gateway() -> None:
    """Addresses that MiniStack hands out (queue URLs, API endpoints) carry GATEWAY_PORT: the gateway's port, so that
    their users go through it as well. It binds another."""
    app._resolve_port = lambda: os.environ["REKEY_BIND_PORT"]


def leave_rotation_to_the_gateway() -> None:
    """MiniStack's RotateSecret copies the value and calls no function. The gateway plays rotation; of MiniStack it
    wants only the check that the caller may."""
    original = secrets.handle_request

    async def handle_request(method, path, headers, body, query_params):
        if headers.get("x-amz-target", "").endswith(("RotateSecret", "CancelRotateSecret")):
            return json_response({})
        return await original(method, path, headers, body, query_params)

    secrets.handle_request = handle_request


def name_the_label_of_a_request() -> None:
    """AWS tells policies which label a request of Secrets Manager names (secretsmanager:VersionStage). MiniStack doesn't
    know the key: a role that may move one label only would be refused."""
    original = iam_actions.request_tag_context

    def request_context(service, iam_action, body, params):
        context = original(service, iam_action, body, params)
        label = iam_actions._safe_json_field(body, "VersionStage") if service == "secretsmanager" else ""
        return {**context, "secretsmanager:VersionStage": label} if label else context

    iam_actions.request_tag_context = request_context


def let_the_gateway_emit_service_events() -> None:
    """As on AWS nobody may put events with a source `aws.…`, except the service itself, which the gateway plays. It
    lets no caller's header of this name through."""
    original = eventbridge.handle_request

    async def handle_request(method, path, headers, body, query_params):
        if "x-rekey-service-event" in headers:
            eventbridge._ensure_default_bus()
            return eventbridge._put_events(json.loads(body), allow_aws_source=True)
        return await original(method, path, headers, body, query_params)

    eventbridge.handle_request = handle_request


def match_rules_for_management_events() -> None:
    """A rule in the state that asks for read-only management events as well matches nothing: only ENABLED does."""
    rewrite(
        eventbridge,
        "_dispatch_event",
        (
            'if rule.get("State") != "ENABLED":',
            'if rule.get("State") not in ("ENABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"):',
        ),
    )


def tell_policies_what_a_key_is_used_for() -> None:
    """Conditions on kms:EncryptionContext:… and kms:KeyUsage meet nothing: neither the context of a request nor what its
    key is for reaches a policy."""
    original = iam_actions.request_tag_context

    def with_use_of_key(service, iam_action, body, params):
        keys = original(service, iam_action, body, params)
        if service != "kms":
            return keys
        try:
            request = json.loads(body or b"{}")
        except (json.JSONDecodeError, UnicodeDecodeError):
            return keys
        context = request.get("EncryptionContext") or {}
        key = kms._resolve_key(request["KeyId"]) if "KeyId" in request else request
        usage = (key or {}).get("KeyUsage", "ENCRYPT_DECRYPT")
        return {
            **keys,
            **{f"kms:EncryptionContext:{name}": value for name, value in context.items()},
            "kms:KeyUsage": usage,
        }

    iam_actions.request_tag_context = with_use_of_key


def name_the_rule_of_a_target() -> None:
    """AWS checks PutTargets and its kin against the rule; MiniStack takes the bus, since the rule's name is in `Rule`
    there, so that a role for some rules only would be refused."""
    resource_of = iam_actions.extract_resource_arn

    def extract_resource_arn(service, method, path, headers, body, *rest, **named):
        rule = iam_actions._safe_json_field(body, "Rule") if service == "events" else ""
        if rule:
            bus = iam_actions._safe_json_field(body, "EventBusName")
            body = json.dumps({"Name": rule, "EventBusName": bus}).encode()
        return resource_of(service, method, path, headers, body, *rest, **named)

    iam_actions.extract_resource_arn = extract_resource_arn


def lock_objects_of_deployed_buckets() -> None:
    """CloudFormation ignores ObjectLockEnabled and ObjectLockConfiguration of a bucket."""
    handler = provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]
    create = handler["create"]
    update = handler["update"]

    def lock(name: str, props: dict) -> None:
        if str(props.get("ObjectLockEnabled", "false")).lower() != "true":
            return
        default = ((props.get("ObjectLockConfiguration") or {}).get("Rule") or {}).get("DefaultRetention")
        if default is not None:
            default = {key: int(value) if key in ("Days", "Years") else value for key, value in default.items()}
        s3._bucket_object_lock[name] = {"enabled": True, "default_retention": default}

    def create_locked(logical_id, props, stack_name):
        name, attributes = create(logical_id, props, stack_name)
        lock(name, props)
        return name, attributes

    def update_locked(physical_id, old_props, new_props, *rest):
        answer = update(physical_id, old_props, new_props, *rest)
        lock(answer[0], new_props)
        return answer

    handler["create"] = create_locked
    handler["update"] = update_locked
