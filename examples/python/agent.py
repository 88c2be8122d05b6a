"""An agent whose credential rotates under it, with the standard library and boto3 (docs/agents.md).

    python examples/python/agent.py --api URL --agent checkout --credential orders-db --work http://localhost:8080/task

It opens a session, reads the secret, works, and every few seconds says what it holds. When a notice asks for it, it reads
the new version, works with it from the next task on, and proves to Rekey that it has it.
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import random
import secrets
import socket
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import boto3
import botocore.exceptions
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

TIMEOUT_SECONDS = 30


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Refused(Exception):
    """The agent API said no: `code` is stable, `retry_after` is in seconds."""

    def __init__(self, status: int, problem: dict, retry_after: float):
        super().__init__(f"{problem.get('code', status)}: {problem.get('detail', problem.get('title', ''))}")
        self.code, self.field, self.retry_after = problem.get("code"), problem.get("field"), retry_after


class AgentApi:
    """The agent API, signed with the role that this process runs as."""

    def __init__(self, url: str, agent: str, aws: boto3.Session):
        self.base, self.aws = f"{url.rstrip('/')}/agents/{agent}", aws

    def call(self, method: str, path: str, body: dict | None = None) -> dict:
        data = None if body is None else json.dumps(body).encode()
        headers = {} if data is None else {"Content-Type": "application/json"}
        request = AWSRequest(method=method, url=self.base + path, data=data, headers=headers)
        credentials = self.aws.get_credentials().get_frozen_credentials()
        SigV4Auth(credentials, "execute-api", self.aws.region_name).add_auth(request)
        http = urllib.request.Request(self.base + path, data, dict(request.headers), method=method)
        try:
            with urllib.request.urlopen(http, timeout=TIMEOUT_SECONDS) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            try:
                problem = json.loads(error.read())
            except ValueError:
                problem = {}
            raise Refused(error.code, problem, float(error.headers.get("Retry-After", 1))) from None


class Session:
    """One session: the instance's key, what it holds, what it has been told."""

    def __init__(self, api: AgentApi, vault, credential: str):
        self.api, self.vault, self.credential = api, vault, credential
        self.instance = f"{socket.gethostname()}-{os.getpid()}"
        # A fresh key at each start: nobody else can speak for this process, not even under the same role.
        self.key = secrets.token_bytes(32)
        self.value: dict | None = None
        self.text = self.version = ""
        self.halted = False
        self.open()

    def open(self) -> None:
        """The same instance with the same key is the same session, until that is closed."""
        opened = self.ask_to_open()
        self.id, self.heartbeat_seconds = opened["session"], opened["heartbeatSeconds"]
        self.path = f"/sessions/{urllib.parse.quote(self.id, safe='')}"
        self.follow(opened["notices"])

    def ask_to_open(self) -> dict:
        body = {"instance": self.instance, "key": {"kty": "oct", "k": b64(self.key)}}
        deadline = time.monotonic() + 150
        while True:
            try:
                return self.api.call("POST", "/sessions", body)
            except Refused as refused:
                # A rotation is just using the gap between two sessions.
                if refused.code != "ERR_ROTATION_UNDER_WAY" or time.monotonic() > deadline:
                    raise
                time.sleep(refused.retry_after)

    def heartbeat(self) -> None:
        holds = [{"credential": self.credential, "versionId": self.version}]
        try:
            self.follow(self.api.call("POST", f"{self.path}/heartbeat", {"holds": holds})["notices"])
        except Refused as refused:
            # Closed, or nobody knows it any more.
            if (refused.code, refused.field) != ("ERR_NOT_FOUND", "session"):
                raise
            self.open()

    def follow(self, notices: list[dict]) -> None:
        """Brings this instance to where the notice of its credential says that it should be."""
        notice = next((each for each in notices if each["credential"] == self.credential), None)
        if notice is None:
            raise SystemExit(f"{self.credential} is not in the pact, or this agent is no holder of it")
        self.halted = notice["state"] == "halted"
        if self.halted:
            return
        waits = notice.get("moveFrom", "") > time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if notice["versionId"] != self.version and not (waits and self.value is not None):
            self.read(notice["secret"], notice["versionId"])
        if notice.get("acknowledge") and notice["versionId"] == self.version:
            self.acknowledge(notice)

    def read(self, secret: str, version: str) -> None:
        """The whole value is swapped at once: a task that has begun goes on with what it took."""
        got = self.vault.get_secret_value(SecretId=secret, VersionId=version)
        self.text, self.value, self.version = got["SecretString"], json.loads(got["SecretString"]), version
        report(swapped=version)

    def acknowledge(self, notice: dict) -> None:
        rotation, version, fingerprint = notice["rotation"], notice["versionId"], notice["fingerprint"]
        challenge = self.api.call("POST", f"{self.path}/challenges", {"rotation": rotation})["challenge"]
        proof = hmac.digest(
            derive_key(self.text, rotation),
            "\n".join([challenge, self.id, rotation, version, fingerprint]).encode(),
            "sha256",
        )
        payload = {
            "session": self.id, "rotation": rotation, "credential": self.credential, "versionId": version,
            "fingerprint": fingerprint, "challenge": challenge, "proof": b64(proof),
            # It reads the vault again when it starts, so that a restart finds the new value.
            "persisted": True,
        }
        self.api.call("POST", f"{self.path}/acknowledgements", {"acknowledgement": self.sign(payload)})
        report(acknowledged=version)

    def close(self) -> None:
        payload = {"session": self.id, "closed": True}
        self.api.call("POST", f"{self.path}/close", {"close": self.sign(payload)})

    def sign(self, payload: dict) -> str:
        """A compact JWS (RFC 7515) with HS256."""
        signed = f"{b64(json.dumps({'alg': 'HS256'}).encode())}.{b64(json.dumps(payload).encode())}"
        return f"{signed}.{b64(hmac.digest(self.key, signed.encode(), 'sha256'))}"


def derive_key(secret: str, rotation: str) -> bytes:
    """HKDF-SHA-256 (RFC 5869), one block."""
    extracted = hmac.digest(rotation.encode(), secret.encode(), "sha256")
    return hmac.digest(extracted, b"rekey acknowledgement v1\x01", "sha256")


def work(url: str, value: dict) -> bool:
    """One task: calls a service with the login. False where it refuses the login."""
    login = base64.b64encode(f"{value['username']}:{value['password']}".encode()).decode()
    request = urllib.request.Request(url, headers={"Authorization": f"Basic {login}"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):
            return True
    except urllib.error.HTTPError as error:
        if error.code == 401:
            return False
        raise


def report(**fields: object) -> None:
    """A line for whoever watches; never a value."""
    print(json.dumps(fields), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--api", required=True, help="output AgentApi of the stack rekey-<stage>-agents")
    parser.add_argument("--agent", required=True)
    parser.add_argument("--credential", required=True)
    parser.add_argument("--work", required=True, help="URL of the service that takes the login")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="how long to run")
    parser.add_argument("--heartbeat", type=float, help="seconds between heartbeats (default: as the API says)")
    options = parser.parse_args()
    aws = boto3.Session()
    api = AgentApi(options.api, options.agent, aws)
    session = Session(api, aws.client("secretsmanager"), options.credential)
    between = options.heartbeat or session.heartbeat_seconds
    began, beat, done, refused = time.monotonic(), time.monotonic(), 0, 0
    try:
        while time.monotonic() - began < options.seconds:
            if not session.halted and session.value is not None:
                if work(options.work, session.value):
                    done += 1
                else:
                    refused += 1
            if time.monotonic() >= beat:
                # With jitter, so that a fleet doesn't come all at once. Without an answer it works on with what it has.
                beat = time.monotonic() + between * random.uniform(0.8, 1.2)
                try:
                    session.heartbeat()
                except (Refused, botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, OSError) as error:
                    report(heartbeat=f"failed: {type(error).__name__}")
            time.sleep(0.1)
    finally:
        session.close()
        report(done=done, refused=refused)
    return 0 if refused == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
