"""Corrections of MiniStack's Step Functions, see patches.py."""

import json
import os
import threading
import urllib.error
import urllib.request
from collections import deque

import ministack.app as app
import ministack.core.iam_actions as iam_actions
import ministack.services.stepfunctions as machines
from ministack.core.responses import get_region
from rewriting import rewrite

GATEWAY = os.environ["AWS_ENDPOINT_URL"]


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


class Turns:
    """So many at once, the others in the order in which they have come: a semaphore of Python lets late ones overtake."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._lock = threading.Lock()
        self._waiting: deque[threading.Event] = deque()

    def __enter__(self) -> None:
        with self._lock:
            if self._free > 0:
                self._free -= 1
                return
            turn = threading.Event()
            self._waiting.append(turn)
        turn.wait()

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1


def let_calls_of_machines_take_turns() -> None:
    """On AWS a thousand functions run at once. Here each is a process, and a thousand of those end this machine: what is beyond
    waits for its turn, which its task's timeout doesn't count."""
    turns = Turns(24)
    invoke = machines._invoke_resource_with_timeout

    def invoke_in_turn(resource, input_data, timeout):
        with turns:
            return invoke(resource, input_data, timeout)

    machines._invoke_resource_with_timeout = invoke_in_turn


def idempotent_start_of_an_execution() -> None:
    """StartExecution with name and input of a running execution answers with that execution on AWS."""
    rewrite(machines, "_start_execution", (
        "    if exec_arn in _executions:\n",
        "    _known = _executions.get(exec_arn)\n"
        "    if _known and _known['status'] == 'RUNNING' and _known['input'] == data.get('input', '{}'):\n"
        "        return json_response({'executionArn': exec_arn, 'startDate': _known['startDate']})\n"
        "    if exec_arn in _executions:\n",
    ))


def name_the_machine_behind_a_task_token() -> None:
    """AWS checks SendTaskSuccess and its kin against the state machine that waits; MiniStack knows no resource there,
    so a role that may answer one machine only would be refused."""
    running = threading.local()
    machine_of: dict[str, str] = {}
    execute = machines._execute_task
    invoke = machines._invoke_with_callback
    resource_of = iam_actions.extract_resource_arn

    def execute_task(state_def, raw_input, execution, ctx):
        running.machine = execution.get("stateMachineArn", "*")
        return execute(state_def, raw_input, execution, ctx)

    def invoke_with_callback(resource, input_data, token, state_def):
        machine_of[token] = running.machine  # kept: a late answer must find a timeout, not a refusal
        return invoke(resource, input_data, token, state_def)

    def extract_resource_arn(service, method, path, headers, body, *rest, **named):
        if service == "states" and b'"taskToken"' in (body or b""):
            return machine_of.get(json.loads(body).get("taskToken"), "*")
        return resource_of(service, method, path, headers, body, *rest, **named)

    machines._execute_task = execute_task
    machines._invoke_with_callback = invoke_with_callback
    iam_actions.extract_resource_arn = extract_resource_arn


def distributed_maps_in_jsonata() -> None:
    """A distributed map's Items, ItemSelector and Output may be JSONata, and each child is an execution of its own: its context
    tells its own name and input, and its variables are its own. MiniStack reads JSONPath there and hands the parent's context on."""
    rewrite(machines, "_run_distributed_map", (
        "        items = _resolve_path_or_ctx(state_def.get(\"ItemsPath\", \"$\"), effective, ctx)\n",
        "        items = (_jsonata_state_field(state_def, 'Items', 'array', raw_input, ctx) if 'Items' in state_def\n"
        "                 else _resolve_path_or_ctx(state_def.get(\"ItemsPath\", \"$\"), effective, ctx))\n",
    ), (
        "        child_input = _resolve_params_obj(item_selector, effective, item_ctx) if item_selector else item\n"
        "        name = new_uuid()\n",
        "        jsonata = _state_query_language(state_def, ctx) == 'JSONata'\n"
        "        child_input = (item if not item_selector\n"
        "                       else _apply_jsonata_template(item_selector, raw_input, item_ctx) if jsonata\n"
        "                       else _resolve_params_obj(item_selector, effective, item_ctx))\n"
        "        name = new_uuid()\n"
        "        item_ctx['Execution'] = {'Id': f'arn:aws:states:{region}:{account}:execution:{sm_name}/{label}:{name}',\n"
        "                                 'Input': child_input, 'Name': name, 'StartTime': now_iso()}\n"
        "        item_ctx['variables'] = {}\n",
    ), (
        "    result = _apply_result_selector(state_def, results)\n",
        "    if _state_query_language(state_def, ctx) == 'JSONata':\n"
        "        done = [r for r, f in zip(results, failures) if f is None]\n"
        "        output = _apply_jsonata_output(state_def, raw_input, ctx, result=done, default=done)\n"
        "        return output, _next_or_end(state_def)\n"
        "    result = _apply_result_selector(state_def, results)\n",
    ))
