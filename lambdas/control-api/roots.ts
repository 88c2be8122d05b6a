import type { Credential } from '../../shared/domain/credential.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import { isRoot, isSecret } from '../../shared/domain/roots.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import type { DiagnosisServices } from './diagnosis-services.ts';

/** Credentials that are asked at most: one of each upstream tells. */
const ASKED = 4;

/**
 * Has the functions that work with an administrative secret log in with what it holds now, one of each upstream.
 * @returns the names of those whose upstream let it in; empty where nobody uses it, or nobody could tell
 * @throws RekeyError ERR_REJECTED where one doesn't
 */
export async function whoLetsIn(
  root: Credential,
  { ledger, diagnosis }: { ledger: Ledger; diagnosis: Pick<DiagnosisServices, 'look'> },
): Promise<string[]> {
  const asked = await oneOfEach(ledger, root);
  const looks = await Promise.all(asked.map(async ({ id }) => diagnosis.look(id)));
  return asked.flatMap(({ name }, at) => {
    const look = looks[at];
    const checks = look !== undefined && 'value' in look ? look.value.checks : [];
    const check = checks.find((each) => each.area === 'target' && each.name === 'administered');
    if (check?.state === 'fail') {
      throw new RekeyError('ERR_REJECTED', `the new value does not administer ${name}: ${check.detail}`, {
        field: 'secret',
        remedy: check.remedy ?? 'put the value that works into the secret',
      });
    }
    return check?.state === 'ok' ? [name] : [];
  });
}

async function oneOfEach(ledger: Ledger, { secretName, secretArn }: Credential): Promise<Credential[]> {
  const found = new Map<string, Credential>();
  const secret = { name: secretName, arn: secretArn };
  let page: string | undefined;
  do {
    const { items, next } = await ledger.list(page);
    for (const each of items) {
      const { adminSecret = '', type, provider, status } = each;
      if (isRoot(type) || status !== 'active' || each.adoption === 'observed') continue;
      if (isSecret(adminSecret, secret)) found.set(`${type}/${provider}`, each);
    }
    page = next;
  } while (page !== undefined && found.size < ASKED);
  return [...found.values()].slice(0, ASKED);
}
