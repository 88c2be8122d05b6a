"""Corrections of MiniStack 1.5.33, each one a defect that would make Rekey's functions and machines behave otherwise
than on AWS. MiniStack is pinned by hash, so its source is known: a patch that doesn't find its place fails the start.
local/README.md lists them for people. When the pin moves, drop what was mended and see what no longer fits.
"""

import functools
import inspect
import json
import os
import threading
import urllib.error
import urllib.request

import ministack.app as app
import ministack.core.lambda_runtime as runtime
import ministack.services.cloudformation.provisioners as provisioners
import ministack.services.eventbridge as eventbridge
import ministack.services.lambda_svc as functions
import ministack.services.s3 as s3
import ministack.services.secretsmanager as secrets
import ministack.services.stepfunctions as machines
from ministack.core.responses import get_region, json_response

GATEWAY = os.environ["AWS_ENDPOINT_URL"]


def apply() -> None:
    for patch in (
        bind_behind_the_gateway,
        leave_rotation_to_the_gateway,
        let_the_gateway_emit_service_events,
        send_service_integrations_through_the_gateway,
        name_errors_of_node_functions,
        evaluate_jsonata_timeouts,
        idempotent_start_of_an_execution,
        retry_asynchronous_invocations,
        fail_callback_task_when_its_function_fails,
        report_failed_stream_records,
        lock_objects_of_deployed_buckets,
    ):
        patch()


def rewrite(module, name: str, *changes: tuple[str, str]) -> None:
    """Replaces pieces of a function's source and puts the result in its place."""
    source = inspect.getsource(getattr(module, name))
    for old, new in changes:
        if source.count(old) != 1:
            raise SystemExit(f"patches.py doesn't fit this MiniStack: {module.__name__}.{name}: {old.strip()[:60]}")
        source = source.replace(old, new)
    exec(compile(source, f"<patched {module.__name__}.{name}>", "exec"), module.__dict__)


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


def send_service_integrations_through_the_gateway() -> None:
    """Step Functions calls other services inside the process. Rotation would be missing there, and recorder and faults
    wouldn't see the calls."""
    import botocore.auth
    import botocore.awsrequest
    import botocore.credentials

    keys = botocore.credentials.Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])

    class Proxy:
        """What _dispatch_aws_sdk_json sees as `app`."""

        SERVICE_HANDLERS = app.SERVICE_HANDLERS

        @staticmethod
        def call_service_handler_sync(handler, method, path, headers, body, query_params):
            signed_for = headers["authorization"].split("/")[3]
            kept = {k: v for k, v in headers.items() if k in ("x-amz-target", "content-type")}
            kept["user-agent"] = "rekey-local fn/states"
            request = botocore.awsrequest.AWSRequest(method, GATEWAY + path, headers=kept, data=body)
            botocore.auth.SigV4Auth(keys, signed_for, get_region()).add_auth(request)
            prepared = request.prepare()
            sent = urllib.request.Request(GATEWAY + path, body.encode(), dict(prepared.headers.items()), method=method)
            try:
                with urllib.request.urlopen(sent, timeout=120) as answer:
                    return answer.status, {}, answer.read()
            except urllib.error.HTTPError as error:
                return error.code, {}, error.read()
            except OSError as error:
                raise machines._ExecutionError("States.TaskFailed", f"Connection lost: {error}") from error

    # The function imports `app` from the package `ministack` each time it runs.
    rewrite(machines, "_dispatch_aws_sdk_json", ("    from ministack import app\n", "    app = _rekey_app\n"))
    machines._rekey_app = Proxy


ERROR_MARK = "rekey-error:"


def name_errors_of_node_functions() -> None:
    """The Node worker reports an error's message alone, and MiniStack calls each `Runtime.HandlerError`: no Catch or
    Retry of a machine that names an error would match."""

    def report(error: str) -> str:
        return (
            f'status: "error", trace: {error}.stack || "", error: "{ERROR_MARK}" + JSON.stringify({{'
            f' errorType: {error}.name || "Error", errorMessage: String({error}.message || {error}),'
            f' trace: String({error}.stack || "").split("\\n") }})'
        )

    script = runtime._NODEJS_WORKER_SCRIPT
    for old, new in (
        ('status: "error", error: String(err.message || err), trace: err.stack || ""', report("err")),
        ('status: "error", error: e.message, trace: e.stack\n', report("e") + "\n"),
    ):
        if script.count(old) != 1:
            raise SystemExit("patches.py doesn't fit this MiniStack: the Node worker")
        script = script.replace(old, new)
    runtime._NODEJS_WORKER_SCRIPT = script

    original = functions._execute_function_warm

    @functools.wraps(original)
    def execute(func, event, request_id):
        result = original(func, event, request_id)
        body = result.get("body")
        message = body.get("errorMessage") if result.get("error") and isinstance(body, dict) else None
        if isinstance(message, str) and message.startswith(ERROR_MARK):
            result["body"] = json.loads(message[len(ERROR_MARK):])
        return result

    functions._execute_function_warm = execute


def evaluate_jsonata_timeouts() -> None:
    """TimeoutSeconds may be a JSONata expression; MiniStack compares the text with a number."""
    original = machines._execute_task

    def execute_task(state_def, raw_input, execution, ctx):
        if isinstance(state_def.get("TimeoutSeconds"), str):
            seconds = machines._jsonata_state_field(state_def, "TimeoutSeconds", "number", raw_input, ctx)
            state_def = {**state_def, "TimeoutSeconds": seconds}
        return original(state_def, raw_input, execution, ctx)

    machines._execute_task = execute_task


def fail_callback_task_when_its_function_fails() -> None:
    """On AWS a .waitForTaskToken task fails at once when the function that it invokes throws; MiniStack ignores that
    and waits for the timeout."""
    waiting = threading.local()
    invoke = machines._invoke_with_callback
    call = machines._call_lambda

    def invoke_with_callback(resource, input_data, token, state_def):
        waiting.token = token
        try:
            return invoke(resource, input_data, token, state_def)
        finally:
            waiting.token = None

    def call_lambda(func_ref, event):
        try:
            return call(func_ref, event)
        except machines._ExecutionError as error:
            task = machines._task_tokens.get(getattr(waiting, "token", None))
            if task is not None:
                task["error"] = {"Error": error.error, "Cause": error.cause}
                task["event"].set()
            raise

    machines._invoke_with_callback = invoke_with_callback
    machines._call_lambda = call_lambda


def idempotent_start_of_an_execution() -> None:
    """StartExecution with name and input of a running execution answers with that execution on AWS."""
    rewrite(machines, "_start_execution", (
        "    if exec_arn in _executions:\n",
        "    _known = _executions.get(exec_arn)\n"
        "    if _known and _known['status'] == 'RUNNING' and _known['input'] == data.get('input', '{}'):\n"
        "        return json_response({'executionArn': exec_arn, 'startDate': _known['startDate']})\n"
        "    if exec_arn in _executions:\n",
    ))


def retry_asynchronous_invocations() -> None:
    """EventBridge's targets are invoked once and a failure is forgotten; the settings of an alias for asynchronous
    invocations are kept and not used. On AWS both retry and end at the destination for failures. A function that is
    invoked through an alias also sees the alias in its own ARN."""
    record = "lambda_svc._execution_record_for_config(func, config)"
    aliased = "lambda_svc._execution_record_for_config(func, {**config, 'FunctionArn': %s})"
    rewrite(
        eventbridge, "_dispatch_to_lambda",
        (record, aliased % "arn"),
        (
            "    threading.Thread(\n"
            "        target=lambda_svc._execute_function_with_config_scope, args=(exec_record, event), daemon=True\n"
            "    ).start()\n",
            "    lambda_svc.invoke_async_with_retry(exec_record, event)\n",
        ),
    )
    by_arn = "func_ref if str(func_ref).startswith('arn:') else config['FunctionArn']"
    rewrite(machines, "_call_lambda", (record, aliased % by_arn))

    def settings_for(func):
        config = func.get("config") or func
        qualifier = (config["FunctionArn"].split(":") + [""])[7]
        base = functions._functions.get(config["FunctionName"]) or {}
        return (base.get("event_invoke_configs") or {}).get(qualifier)

    functions._rekey_settings_for = settings_for
    rewrite(functions, "invoke_async_with_retry", (
        "        eic = (\n            func.get(\"event_invoke_config\")\n",
        "        eic = (\n            _rekey_settings_for(func)\n            or func.get(\"event_invoke_config\")\n",
    ))


def report_failed_stream_records() -> None:
    """A DynamoDB stream's mapping ignores ReportBatchItemFailures, MaximumRetryAttempts (and with it the destination
    for failures) and BisectBatchOnFunctionError."""
    attempts: dict[tuple[str, str], int] = {}
    limits: dict[str, int] = {}

    def sequence(record) -> str:
        return record["dynamodb"]["SequenceNumber"]

    def outcome(esm, fetched, batch, result):
        """How many of the fetched records are done with, the records that are not, and the result for those."""
        body = result.get("body")
        if result.get("error") or "ReportBatchItemFailures" not in esm.get("FunctionResponseTypes", []):
            return 0, batch, result
        failures = body.get("batchItemFailures") if isinstance(body, dict) else None
        if not failures:
            limits.pop(esm["UUID"], None)
            return 0, batch, result
        failed = {failure.get("itemIdentifier") for failure in failures}
        # Everything from the lowest failure on is tried again; an unknown identifier fails the whole batch.
        first = next((i for i, record in enumerate(batch) if sequence(record) in failed), 0)
        done = [sequence(record) for record in fetched].index(sequence(batch[first]))
        error = {"errorType": "BatchItemFailures", "errorMessage": f"{len(failures)} records failed"}
        return done, batch[first:], {"error": True, "body": error}

    def exhausted(esm, batch) -> bool:
        """Counts a failed attempt at these records; tells whether it was the last one."""
        if esm.get("BisectBatchOnFunctionError") and len(batch) > 1:
            limits[esm["UUID"]] = (len(batch) + 1) // 2
            return False
        limits.pop(esm["UUID"], None)
        most = esm.get("MaximumRetryAttempts")
        key = (esm["UUID"], sequence(batch[0]))
        attempts[key] = attempts.get(key, 0) + 1
        if most is None or int(most) < 0 or attempts[key] <= int(most):
            return False
        del attempts[key]
        return True

    functions._rekey_outcome = outcome
    functions._rekey_exhausted = exhausted
    functions._rekey_limits = limits
    rewrite(
        functions, "_poll_dynamodb_streams",
        (
            "            batch_size = esm.get(\"BatchSize\", 100)\n",
            "            batch_size = min(esm.get(\"BatchSize\", 100), _rekey_limits.get(esm_id, 10_000))\n",
        ),
        (
            "            batch = _apply_filter_criteria(batch, esm)\n",
            "            fetched = batch\n            batch = _apply_filter_criteria(batch, esm)\n",
        ),
        (
            "            result = _execute_function(func_rec, event)\n",
            "            result = _execute_function(func_rec, event)\n"
            "            done, batch, result = _rekey_outcome(esm, fetched, batch, result)\n"
            "            pos, raw_len = pos + done, raw_len - done\n"
            "            with _dynamodb_stream_positions_lock:\n"
            "                _dynamodb_stream_positions[esm_id] = pos\n",
        ),
        (
            "                # Position doesn't advance on failure, so the next pass\n",
            "                if _rekey_exhausted(esm, batch):\n"
            "                    _send_ddb_stream_failure_record(\n"
            "                        esm, func_rec, batch, source_arn, result, \"RetryAttemptsExhausted\")\n"
            "                    with _dynamodb_stream_positions_lock:\n"
            "                        _dynamodb_stream_positions[esm_id] = pos + raw_len\n"
            "                    processed_any = True\n"
            "                    continue\n"
            "                # Position doesn't advance on failure, so the next pass\n",
        ),
    )


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
