"""An agent whose credential rotates under it, with the standard library and boto3 (docs/agents.md).

    pip install -r examples/python/requirements.txt
    python examples/python/agent.py --api URL --agent checkout --credential orders-db --work http://localhost:8080/task

It opens a session, reads the secret, works, and every few seconds says what it holds. When a notice asks for it, it reads
the new version, works with it from the next task on, and proves to Rekey that it has it. Where the agent API can't be reached
it works on, and reads the vault by itself.

The pact is an operator's (`rekey pacts apply FILE`), with `refresh: in-session` and `uses: unreported`; give --ttl and
--stale-limit what it says.
"""

import argparse
import base64
import email.utils
import hmac
import http.client
import json
import os
import random
import secrets
import signal
import socket
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import TypeVar

import boto3
import botocore.exceptions
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config

T = TypeVar("T")

TIMEOUT_SECONDS = 10
# Between two tries to read a vault that is out, and between tasks that fail again and again.
RETRY_SECONDS, LONGEST_PAUSE_SECONDS = 10, 60
# Between two looks at the notices while something is under way.
OFTEN_SECONDS = 10
# Past `moveFrom` it waits so much longer for the notices, which may put that off; then it goes on by itself.
TURN_MARGIN_SECONDS = 30


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Refused(Exception):
    """The agent API said no: `code` is stable, `retry_after` is in seconds."""

    def __init__(self, status: int, problem: dict, retry_after: float):
        super().__init__(f"{problem.get('code', status)}: {problem.get('detail', problem.get('title', ''))}")
        self.code, self.field, self.retry_after = problem.get("code"), problem.get("field"), retry_after
        # Wrong options or a wrong declaration: another try is pointless.
        passing = ("ERR_CAPACITY", "ERR_CONFLICT", "ERR_ROTATION_UNDER_WAY")
        self.final = 400 <= status < 500 and status != 429 and self.code not in passing


# What passes: the agent API, the vault or the service is out, or answers something else than it should.
FAILURES = (
    Refused, botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError,
    OSError, http.client.HTTPException, ValueError, KeyError,
)


class AgentApi:
    """The agent API, signed with the role that this process runs as."""

    def __init__(self, url: str, agent: str, aws: boto3.Session):
        self.base, self.agent, self.aws = f"{url.rstrip('/')}/agents/{agent}", agent, aws
        self.ahead = time.time() - time.monotonic()

    def now(self) -> float:
        """The server's time: a wrong clock here changes nothing."""
        return self.ahead + time.monotonic()

    def hear(self, date: str | None) -> None:
        if date is not None:
            self.ahead = email.utils.parsedate_to_datetime(date).timestamp() - time.monotonic()

    def call(self, method: str, path: str, body: dict | None = None) -> dict:
        data = None if body is None else json.dumps(body).encode()
        headers = {} if data is None else {"Content-Type": "application/json"}
        request = AWSRequest(method=method, url=self.base + path, data=data, headers=headers)
        credentials = self.aws.get_credentials().get_frozen_credentials()
        SigV4Auth(credentials, "execute-api", self.aws.region_name).add_auth(request)
        signed = urllib.request.Request(self.base + path, data, dict(request.headers), method=method)
        try:
            with urllib.request.urlopen(signed, timeout=TIMEOUT_SECONDS) as answer:
                self.hear(answer.headers.get("Date"))
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            self.hear(error.headers.get("Date"))
            try:
                problem = json.loads(error.read())
            except ValueError:
                problem = {}
            raise Refused(error.code, problem, float(error.headers.get("Retry-After", 1))) from None


class Session:
    """One session: the instance's key, what it holds, what it has been told."""

    def __init__(self, api: AgentApi, vault, credential: str, secret: str | None, ttl: float, stale_limit: float):
        self.api, self.vault, self.credential = api, vault, credential
        self.secret, self.ttl, self.stale_limit = secret, ttl, stale_limit
        self.instance = f"{socket.gethostname()}-{os.getpid()}"
        # A fresh key at each start: nobody else can speak for this process, not even under the same role.
        self.key = secrets.token_bytes(32)
        # Of the last opening or heartbeat: it only grows, for as long as the key lives.
        self.sequence = 0
        self.value: dict | None = None
        self.text = self.version = ""
        self.id: str | None = None
        self.heartbeat_seconds, self.move_from = 60, 0.0
        # By the monotonic clock: when the value was last read, and when it is to be read again.
        self.confirmed = self.renew_at = 0.0
        self.dead: list[str] = []
        self.halted = False
        # Whether nothing is under way, so that the next heartbeat brings the next notice soon enough.
        self.settled = True

    def may_work(self) -> bool:
        is_fresh = time.monotonic() - self.confirmed <= self.stale_limit
        return self.value is not None and is_fresh and not self.halted and self.version not in self.dead

    def open(self) -> None:
        """The same instance with the same key is the same session, until that is closed."""
        opened = self.ask_to_open()
        self.id, self.heartbeat_seconds = opened["session"], opened["heartbeatSeconds"]
        self.path = f"/sessions/{urllib.parse.quote(self.id, safe='')}"
        self.follow(opened["notices"])

    def ask_to_open(self) -> dict:
        deadline = time.monotonic() + 150
        while True:
            self.sequence += 1
            at = datetime.fromtimestamp(self.api.now(), timezone.utc).isoformat(timespec="milliseconds")
            said = {"agent": self.api.agent, "instance": self.instance, "sequence": self.sequence, "at": at}
            body = {"key": {"kty": "oct", "k": b64(self.key)}, "opening": self.sign(said)}
            try:
                return self.api.call("POST", "/sessions", body)
            except Refused as refused:
                # A rotation is just using the gap between two sessions; or this machine's clock is wrong, and the server's is
                # known now.
                if refused.code not in ("ERR_ROTATION_UNDER_WAY", "ERR_CONFLICT") or time.monotonic() > deadline:
                    raise
                time.sleep(refused.retry_after)

    def heartbeat(self) -> None:
        if self.id is None:
            self.open()
        holds = [] if self.value is None else [{"credential": self.credential, "versionId": self.version}]
        self.sequence += 1
        said = self.sign({"session": self.id, "sequence": self.sequence, "holds": holds})
        try:
            self.follow(self.api.call("POST", f"{self.path}/heartbeat", {"heartbeat": said})["notices"])
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
        self.secret, self.dead, self.halted = notice["secret"], notice["tombstoned"], notice["state"] == "halted"
        if self.halted:
            # Nothing is held until what replaces it is there.
            self.value, self.text, self.version = None, "", ""
            self.settled = True
            return
        self.move_from = datetime.fromisoformat(notice.get("moveFrom", "1970-01-01T00:00:00Z").replace("Z", "+00:00")).timestamp()
        self.settled = False
        # While a value is being made, whoever has read the vault may be ahead of the notice.
        stays = self.value is not None and (notice["state"] == "rotating" or self.waits()) and not notice["urgent"]
        if notice["versionId"] != self.version and not stays:
            self.read(notice["versionId"])
        if notice["acknowledge"] and notice["versionId"] == self.version:
            self.acknowledge(notice)
        self.settled = notice["state"] != "rotating" and notice["versionId"] == self.version

    def waits(self) -> bool:
        """Whether it isn't this instance's turn to move yet."""
        return self.api.now() < self.move_from + TURN_MARGIN_SECONDS

    def next_look(self, between: float) -> float:
        """In how many seconds it asks for its notices, with jitter, so that a fleet doesn't come all at once."""
        turn = self.move_from - self.api.now()
        if 0 < turn < between and not self.settled:
            return turn + random.uniform(0, 1)
        return (between if self.settled else min(between, OFTEN_SECONDS)) * random.uniform(0.8, 1)

    def renew(self) -> None:
        """Reads the vault when the value has its age, whatever the agent API says: while that is out, nobody else tells."""
        if self.halted or self.secret is None or time.monotonic() < self.renew_at:
            return
        self.renew_at = time.monotonic() + min(RETRY_SECONDS, self.ttl)
        self.read(self.version if self.value is not None and self.waits() else None)

    def read(self, version: str | None) -> None:
        """One version, or what is AWSCURRENT. The whole value is swapped at once: a task that has begun goes on with its own."""
        began = time.monotonic()
        which = {"VersionStage": "AWSCURRENT"} if version is None else {"VersionId": version}
        got = self.vault.get_secret_value(SecretId=self.secret, **which)
        # Given up, while the label has yet to move back.
        if got["VersionId"] in self.dead:
            return
        if got["VersionId"] != self.version:
            text = got["SecretString"]
            self.text, self.value, self.version = text, json.loads(text), got["VersionId"]
            report(swapped=self.version)
        self.confirmed, self.renew_at = began, began + self.ttl * random.uniform(0.8, 1)

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
        if self.id is None:
            return
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
    """One task: calls a service with the login. False where it refuses the login; any other failure says nothing of it."""
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
    parser.add_argument("--secret", help="name of the secret, to begin while the agent API is out (default: as it says)")
    parser.add_argument("--ttl", type=float, default=900, help="seconds after which the secret is read again")
    parser.add_argument("--stale-limit", type=float, default=3600, help="seconds to work on while the vault is out")
    options = parser.parse_args()
    aws = boto3.Session()
    vault = aws.client(
        "secretsmanager", config=Config(connect_timeout=5, read_timeout=TIMEOUT_SECONDS, retries={"max_attempts": 2})
    )
    api = AgentApi(options.api, options.agent, aws)
    session = Session(api, vault, options.credential, options.secret, options.ttl, options.stale_limit)
    done = refused = 0
    # Ends what is under way, so that the session is closed before whoever stops this process kills it.
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: sys.exit(0))
    try:
        for succeeded in run(session, options):
            done, refused = done + succeeded, refused + (not succeeded)
    finally:
        attempt("close", session.close)
        report(done=done, refused=refused)
    return 0 if refused == 0 else 1


def run(session: Session, options: argparse.Namespace) -> Iterator[bool]:
    """Works, and gives for each task whether its login was taken."""
    began, beat, rest, pause = time.monotonic(), 0.0, 0.0, 1.0
    try:
        session.open()
    except Refused as error:
        if error.final:
            raise SystemExit(str(error)) from None
        report(open=f"failed: {error.code or 'no code'}")
    except FAILURES as error:
        report(open=f"failed: {type(error).__name__}")
    held = session.version
    while time.monotonic() - began < options.seconds:
        if time.monotonic() >= beat:
            # Without an answer it works on with what it has.
            attempt("heartbeat", session.heartbeat)
            beat = time.monotonic() + session.next_look(options.heartbeat or session.heartbeat_seconds)
        attempt("renew", session.renew)
        if session.version != held:
            # What it holds has changed: it says so at once.
            held, beat = session.version, 0.0
        if session.may_work() and time.monotonic() >= rest:
            taken = attempt("work", lambda: work(options.work, session.value))
            if taken:
                pause = 1.0
            else:
                # It tries again; in vain, it waits longer each time.
                rest, pause = time.monotonic() + pause * random.uniform(0.5, 1), min(2 * pause, LONGEST_PAUSE_SECONDS)
            if taken is False:
                # It may have missed a change: it looks at once.
                beat = session.renew_at = 0.0
            if taken is not None:
                yield taken
        time.sleep(0.1)


def attempt(what: str, call: Callable[[], T]) -> T | None:
    """What fails here leaves one line, and is tried again later."""
    try:
        return call()
    except FAILURES as error:
        report(**{what: f"failed: {getattr(error, 'code', None) or type(error).__name__}"})
        return None


if __name__ == "__main__":
    sys.exit(main())
