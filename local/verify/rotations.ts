import { randomUUID } from 'node:crypto';
import { CancelRotateSecretCommand } from '@aws-sdk/client-secrets-manager';
import { pause, STEPS, stepsOf, untilCalls, untilCurrent, untilStep, type Scenario } from './scenario.ts';
import { answerOf } from './trial-secret.ts';

const REQUEST = 'InvalidRequestException';
/** Labels before a rotation, and in the middle of one. */
const UNTOUCHED = 'AWSCURRENT first';
const BEGUN = 'AWSCURRENT first, AWSPENDING token';

/** Rotations that go well, fail, wait and are cancelled. */
export const ROTATIONS: readonly Scenario[] = [
  {
    name: 'rotation',
    beliefs: ['rotate-answers-first', 'pending-is-empty', 'four-steps', 'pending-may-stay', 'finished-token'],
    run: async (scene) => {
      const { stage, pace, signal, see } = scene;
      const secret = await stage.secret('rotation');
      await secret.plan({ waitAt: 'createSecret', waitSeconds: pace.holdSeconds });
      const { token, answered } = await secret.rotate();
      const labels = await secret.labelled({ token }, BEGUN);
      see(
        'rotate-answers-first',
        answered === token && labels === BEGUN,
        `VersionId is ${answered === token ? 'the token' : 'another'}; ${labels}`,
      );
      const [first] = (await untilStep(scene, secret, token, 'createSecret')) ?? [];
      see(
        'pending-is-empty',
        first &&
          first.labels[token]?.includes('AWSPENDING') === true &&
          first.pending === 'ResourceNotFoundException',
        first === undefined
          ? 'createSecret was not called'
          : `labels of the version: ${first.labels[token]?.join() ?? 'none'}; reading it: ${first.pending}`,
      );
      const ended = await untilCurrent(scene, secret, token);
      await pause(pace.quietSeconds, signal);
      const steps = stepsOf(await stage.calls.of(secret.arn));
      see('four-steps', ended ? steps === STEPS.join(', ') : undefined, steps);

      const again = await answerOf(secret.rotate(token));
      await pause(pace.quietSeconds, signal);
      const more = (await stage.calls.of(secret.arn)).slice(STEPS.length);
      see(
        'finished-token',
        ended ? again === 'accepted' && more.length === 0 : undefined,
        `${again}; then ${stepsOf(more)}`,
      );

      const stayed = await secret.labelled({ token });
      await secret.plan({});
      const next = randomUUID();
      const answer = await answerOf(secret.rotate(next));
      const done = answer === 'accepted' && (await untilCurrent(scene, secret, next));
      see(
        'pending-may-stay',
        ended ? done : undefined,
        `before: ${stayed}; the next RotateSecret: ${answer}, ${done ? 'ended well' : 'did not end'}`,
      );
    },
  },
  {
    name: 'a rotation under way',
    beliefs: ['under-way-same-token', 'under-way-other-token'],
    run: async (scene) => {
      const { stage, pace, signal, see } = scene;
      const secret = await stage.secret('under-way');
      await secret.plan({ waitAt: 'setSecret', waitSeconds: pace.holdSeconds });
      const { token } = await secret.rotate();
      if ((await untilStep(scene, secret, token, 'setSecret')) === undefined) return;
      const same = await answerOf(secret.rotate(token));
      const other = await answerOf(secret.rotate());
      const ended = await untilCurrent(scene, secret, token);
      await pause(pace.quietSeconds, signal);
      const calls = await stage.calls.of(secret.arn);
      see(
        'under-way-other-token',
        other === REQUEST && ended,
        `${other}; the one under way ${ended ? 'ended well' : 'did not end'}`,
      );
      see(
        'under-way-same-token',
        same === 'accepted' && stepsOf(calls) === STEPS.join(', '),
        `${same}; ${stepsOf(calls)}`,
      );
    },
  },
  {
    name: 'RotateImmediately=false',
    beliefs: ['test-only', 'test-only-schedules'],
    run: async (scene) => {
      const { stage, pace, signal, see } = scene;
      const secret = await stage.secret('test-only');
      const { token } = await secret.rotate(randomUUID(), { RotateImmediately: false });
      const [call] = (await untilCalls(scene, secret, undefined, (calls) => calls.length > 0)) ?? [];
      await pause(pace.quietSeconds, signal);
      const calls = await stage.calls.of(secret.arn);
      const described = await secret.describe();
      const labels = await secret.labelled({ token }, UNTOUCHED);
      const own = call?.labels[call.token]?.includes('AWSPENDING') === true && call.token !== secret.first;
      see(
        'test-only',
        call && stepsOf(calls) === 'testSecret' && own && labels === UNTOUCHED,
        `${stepsOf(calls)}, ${own ? '' : 'not '}on a pending version of its own; its id is ${call?.token === token ? 'the token' : 'not the token'}, reading it: ${call?.pending ?? ''}; afterwards: ${labels}`,
      );
      see(
        'test-only-schedules',
        described.RotationEnabled === true && described.LastRotatedDate === undefined,
        `RotationEnabled ${String(described.RotationEnabled)}, LastRotatedDate ${described.LastRotatedDate?.toISOString() ?? 'is absent'}`,
      );
    },
  },
  {
    name: 'a step that fails',
    beliefs: ['failure-leaves-pending', 'failure-is-retried', 'leftover-refuses', 'leftover-is-reattempted'],
    run: async (scene) => {
      const { stage, see } = scene;
      const secret = await stage.secret('failing');
      await secret.plan({ failAt: 'setSecret' });
      const { token } = await secret.rotate();
      if ((await untilStep(scene, secret, token, 'setSecret')) === undefined) return;
      const labels = await secret.labelled({ token }, BEGUN);
      see('failure-leaves-pending', labels === BEGUN, labels);
      const retried = await untilCalls(scene, secret, undefined, (calls) => calls.length > 2);
      const [, , third] = retried ?? [];
      see(
        'failure-is-retried',
        third && third.step === 'createSecret' && third.token === token,
        third === undefined
          ? 'no further call'
          : `${stepsOf(retried ?? [])}, ${seconds(retried?.[1]?.at, third.at)} s after the failure, ${third.token === token ? 'with the old token' : 'with another token'}`,
      );
      await secret.plan({});
      const refused = await answerOf(secret.rotate());
      const askedAt = new Date().toISOString();
      see('leftover-refuses', refused === REQUEST, refused);
      const ended = await untilCurrent(scene, secret, token);
      const last = (await stage.calls.of(secret.arn, token)).at(-1);
      see(
        'leftover-is-reattempted',
        ended ? true : undefined,
        ended ? `it ended well ${seconds(askedAt, last?.at)} s after the refusal` : 'it did not end',
      );
    },
  },
  {
    name: 'a leftover that is taken off',
    beliefs: ['stripped-is-free'],
    run: async (scene) => {
      const { stage, see } = scene;
      const secret = await stage.secret('stripped');
      await secret.plan({ failAt: 'setSecret' });
      const { token } = await secret.rotate();
      if ((await untilStep(scene, secret, token, 'setSecret')) === undefined) return;
      await secret.plan({});
      await secret.move('AWSPENDING', { RemoveFromVersionId: token });
      const next = randomUUID();
      const answer = await answerOf(secret.rotate(next));
      const ended = answer === 'accepted' && (await untilCurrent(scene, secret, next));
      see(
        'stripped-is-free',
        answer === 'accepted' ? ended || undefined : false,
        `${answer}; ${ended ? 'ended well' : 'did not end'}`,
      );
    },
  },
  {
    name: 'a role that is held to one label',
    beliefs: ['label-by-policy'],
    run: async (scene) => {
      const { stage, see } = scene;
      const secret = await stage.secret('held', 'pending');
      await secret.plan({ relabelAt: 'setSecret', failAt: 'setSecret' });
      const { token } = await secret.rotate();
      const calls = (await untilStep(scene, secret, token, 'setSecret')) ?? [];
      const [moved, stripped] = calls.find(({ relabelled }) => relabelled)?.relabelled ?? [];
      see(
        'label-by-policy',
        moved === undefined ? undefined : moved === 'AccessDeniedException' && stripped === 'done',
        `moving AWSCURRENT: ${moved ?? 'not tried'}; taking AWSPENDING off: ${stripped ?? 'not tried'}`,
      );
    },
  },
  {
    name: 'a rotation that is cancelled',
    beliefs: ['cancel-stops', 'cancel-leaves-labels'],
    run: async (scene) => {
      const { stage, pace, signal, see } = scene;
      const secret = await stage.secret('cancelled');
      await secret.plan({ waitAt: 'createSecret', waitSeconds: pace.holdSeconds });
      const { token } = await secret.rotate();
      if ((await untilStep(scene, secret, token, 'createSecret')) === undefined) return;
      await stage.vault.send(new CancelRotateSecretCommand({ SecretId: secret.arn }));
      await pause(pace.holdSeconds + pace.quietSeconds, signal);
      const calls = await stage.calls.of(secret.arn);
      const { RotationEnabled: enabled } = await secret.describe();
      see(
        'cancel-stops',
        enabled === false && stepsOf(calls) === 'createSecret',
        `RotationEnabled ${String(enabled)}; ${stepsOf(calls)}`,
      );
      const labels = await secret.labelled({ token }, BEGUN);
      see('cancel-leaves-labels', labels === BEGUN, labels);
    },
  },
];

function seconds(from = '', to = ''): number {
  return Math.round((Date.parse(to) - Date.parse(from)) / 100) / 10;
}
