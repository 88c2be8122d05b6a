import { randomUUID } from 'node:crypto';
import {
  CreateSecretCommand,
  DeleteSecretCommand,
  DescribeSecretCommand,
  GetSecretValueCommand,
  RotateSecretCommand,
} from '@aws-sdk/client-secrets-manager';
import type { Scenario } from './scenario.ts';
import { answerOf } from './trial-secret.ts';

const EXISTS = 'ResourceExistsException';
const ABSENT = 'ResourceNotFoundException';
const REQUEST = 'InvalidRequestException';
const PARAMETER = 'InvalidParameterException';

/** Values and labels, without a rotation. */
export const VALUES: readonly Scenario[] = [
  {
    name: 'values',
    beliefs: ['create-again', 'put-same-text', 'put-other-text', 'put-current', 'put-takes-label'],
    run: async ({ stage, see }) => {
      const secret = await stage.secret('values');
      const create = (SecretString: string): Promise<string> =>
        answerOf(
          stage.vault.send(
            new CreateSecretCommand({
              Name: secret.name,
              SecretString,
              Description: '{}',
              ClientRequestToken: secret.first,
            }),
          ),
        );
      const created = [await create('first'), await create('other')];
      see(
        'create-again',
        created.join() === `accepted,${EXISTS}`,
        `same text: ${created[0]}; other: ${created[1]}`,
      );

      const token = randomUUID();
      await secret.put('second', { token });
      const current = 'AWSCURRENT token, AWSPREVIOUS first';
      const labels = await secret.labelled({ token }, current);
      see('put-current', labels === current, labels);

      const same = await answerOf(secret.put('second', { token }));
      const unchanged = await secret.labelled({ token });
      see('put-same-text', same === 'accepted' && unchanged === labels, `${same}; ${unchanged}`);
      const other = await answerOf(secret.put('third', { token }));
      const text = (await secret.text({ VersionId: token })) ?? '';
      see('put-other-text', other === EXISTS && text === 'second', `${other}, the text is the ${text} one`);

      const earlier = await secret.put('a', { labels: ['AWSPENDING'] });
      const later = await secret.put('b', { labels: ['AWSPENDING'] });
      const taken = 'AWSCURRENT token, AWSPENDING later, AWSPREVIOUS first';
      const pending = await secret.labelled({ token, earlier, later }, taken);
      see('put-takes-label', pending === taken, pending);
    },
  },
  {
    name: 'labels',
    beliefs: [
      'move-names-holder',
      'move-current',
      'keep-current',
      'strip-pending',
      'get-other-label',
      'get-unknown-version',
      'get-dates-version',
    ],
    run: async ({ stage, see }) => {
      const secret = await stage.secret('labels');
      const dateOf = async (VersionId: string): Promise<number> => {
        const found = await stage.vault.send(new GetSecretValueCommand({ SecretId: secret.name, VersionId }));
        return found.CreatedDate?.getTime() ?? Number.NaN;
      };
      const stored = await dateOf(secret.first);
      const next = await secret.put('next', { labels: ['AWSPENDING'] });

      const bare = await answerOf(secret.move('AWSCURRENT', { MoveToVersionId: next }));
      see('move-names-holder', bare === PARAMETER, `without RemoveFromVersionId: ${bare}`);
      const dropped = await answerOf(secret.move('AWSCURRENT', { RemoveFromVersionId: secret.first }));
      see('keep-current', dropped === PARAMETER, dropped);
      const mismatch = await answerOf(secret.text({ VersionId: secret.first, VersionStage: 'AWSPENDING' }));
      see('get-other-label', [ABSENT, REQUEST].includes(mismatch), mismatch);
      const unknown = await answerOf(secret.text({ VersionId: randomUUID() }));
      see('get-unknown-version', unknown === ABSENT, unknown);

      await secret.move('AWSCURRENT', { MoveToVersionId: next, RemoveFromVersionId: secret.first });
      const moved = 'AWSCURRENT next, AWSPENDING next, AWSPREVIOUS first';
      const labels = await secret.labelled({ next }, moved);
      see('move-current', labels === moved, labels);
      const [first, second] = [await dateOf(secret.first), await dateOf(next)];
      see(
        'get-dates-version',
        first === stored && second >= stored,
        `${stored}, then ${first}; next ${second}`,
      );
      await secret.move('AWSPENDING', { RemoveFromVersionId: next });
      const stripped = 'AWSCURRENT next, AWSPREVIOUS first';
      const left = await secret.labelled({ next }, stripped);
      see('strip-pending', left === stripped, left);
    },
  },
  {
    name: 'what is not there',
    beliefs: ['never-existed', 'deleted'],
    run: async ({ stage, see }) => {
      const ask = async (SecretId: string): Promise<string[]> => [
        await answerOf(stage.vault.send(new GetSecretValueCommand({ SecretId }))),
        await answerOf(stage.vault.send(new RotateSecretCommand({ SecretId }))),
      ];
      const nobody = `${stage.name}-nobody`;
      const never = [
        await answerOf(stage.vault.send(new DescribeSecretCommand({ SecretId: nobody }))),
        ...(await ask(nobody)),
      ];
      see(
        'never-existed',
        never.every((answer) => answer === ABSENT),
        never.join(', '),
      );

      const secret = await stage.secret('deleted');
      await stage.vault.send(new DeleteSecretCommand({ SecretId: secret.name, RecoveryWindowInDays: 7 }));
      const dated = (await secret.describe()).DeletedDate !== undefined;
      const answers = await ask(secret.name);
      see(
        'deleted',
        dated && answers.every((answer) => answer === REQUEST),
        `DeletedDate ${dated ? 'is there' : 'is missing'}; ${answers.join(', ')}`,
      );
    },
  },
];
