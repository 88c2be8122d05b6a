import {
  CLOSED_KEPT_SECONDS,
  LONGEST_REPORT_SECONDS,
  newestNumber,
  USES_KEPT_SECONDS,
  type Acknowledgement,
  type Pact,
  type Session,
  type Stray,
  type UseReport,
} from '../domain/agents.ts';
import { plusSeconds, type Instant } from '../domain/clock.ts';
import { RekeyError } from '../domain/errors.ts';
import { TABLE } from '../names.ts';
import type { AgentStore, SaidNow } from '../ports/agents.ts';
import type { Page } from '../ports/ledger.ts';
import { isAwsError, type AwsServiceError } from './aws-client.ts';
import {
  acknowledgementItem,
  acknowledgementOf,
  documentOf,
  expiry,
  groups,
  keys,
  pactItems,
  sessionItem,
  sessionOf,
  strayItem,
  text,
  type Item,
  useOf,
} from './ledger-items.ts';
import { ABSENT, LedgerTable, versionIs, type Store } from './ledger-table.ts';
import { decodePactPage, encodePactPage } from './page-token.ts';

/** So long a stray isn't written again. */
const STRAYED_SECONDS = 3600;

const OPEN = 'id = :id AND attribute_not_exists(closedAt)';
/** No word of the session's instance has this number or a higher one. */
const NEWER =
  '(attribute_not_exists(#opening) OR #opening < :number) AND (attribute_not_exists(#sequence) OR #sequence < :number)';
const NUMBERS = { '#opening': 'opening', '#sequence': 'sequence' };

/** What agents say, in the ledger's table below keys of its own (docs/architecture.md). */
export class DynamoDbAgents implements AgentStore {
  readonly #table: LedgerTable;

  constructor(store: Store) {
    this.#table = new LedgerTable(store);
  }

  async pact(agent: string): Promise<Pact | undefined> {
    const item = await this.#table.get(keys.pact(this.#table.tenant, agent));
    return item && documentOf<Pact>(item);
  }

  async pacts(page?: string): Promise<Page<Pact>> {
    const { Items = [], LastEvaluatedKey: last } = await this.#table.query({
      IndexName: TABLE.index,
      KeyConditionExpression: `${TABLE.indexPk} = :g`,
      ExpressionAttributeValues: { ':g': { S: groups.pacts(this.#table.tenant) } },
      Limit: 100,
      ...(page === undefined ? {} : { ExclusiveStartKey: decodePactPage(page, this.#table.tenant) }),
    });
    return {
      items: Items.map((item) => documentOf<Pact>(item)),
      ...(last === undefined ? {} : { next: encodePactPage(last) }),
    };
  }

  async putPact(pact: Pact, others: ReadonlyMap<string, number> = new Map()): Promise<void> {
    const [newest, version] = pactItems(this.#table.tenant, pact);
    const unchanged = [...others].map(([agent, known]) =>
      this.#table.checking(keys.pact(this.#table.tenant, agent), versionIs(known)),
    );
    try {
      await this.#table.transact([
        this.#table.putting(newest, versionIs(pact.version - 1)),
        this.#table.putting(version),
        ...unchanged,
      ]);
    } catch (error) {
      if (!isRefused(error)) throw error;
      throw new RekeyError('ERR_CONFLICT', 'a pact was changed by somebody else meanwhile', {
        remedy: 'send it again',
        cause: error,
      });
    }
  }

  async session(agent: string, id: string): Promise<Session | undefined> {
    const item = await this.#table.get(keys.session(this.#table.tenant, agent, id));
    return item !== undefined && text(item, 'id') === id && this.#counts(item) ? sessionOf(item) : undefined;
  }

  async sessions(agent: string): Promise<readonly Session[]> {
    const found: Session[] = [];
    const pages = this.#table.pages({
      KeyConditionExpression: `${TABLE.pk} = :p`,
      ExpressionAttributeValues: { ':p': keys.session(this.#table.tenant, agent, '')[TABLE.pk] },
      ConsistentRead: true,
    });
    for await (const item of pages) if (this.#counts(item)) found.push(sessionOf(item));
    return found;
  }

  async openSession(session: Session): Promise<Session> {
    const { agent, id, opening = 0 } = session;
    try {
      await this.#table.put(sessionItem(this.#table.tenant, session), {
        ConditionExpression: `${ABSENT.ConditionExpression} OR keptUntil < :now OR (attribute_exists(closedAt) AND ${NEWER})`,
        ExpressionAttributeNames: NUMBERS,
        ExpressionAttributeValues: { ':now': { S: this.#table.now() }, ':number': { N: String(opening) } },
      });
      return session;
    } catch (error) {
      if (!isRefused(error)) throw error;
      const item = await this.#table.get(keys.session(this.#table.tenant, agent, id));
      if (item === undefined) throw ended(id, error);
      const known = sessionOf(item);
      if (known.closedAt !== undefined) throw overtaken(known, error);
      return this.#openedAgain(known, opening);
    }
  }

  /** The session that is open already. Its newest opening is kept, so that none of them opens another once it has ended. */
  async #openedAgain(known: Session, opening: number): Promise<Session> {
    if (opening <= newestNumber(known)) return known;
    try {
      await this.#table.update(keys.session(this.#table.tenant, known.agent, known.id), {
        UpdateExpression: 'SET #opening = :number',
        ConditionExpression: `${OPEN} AND ${NEWER}`,
        ExpressionAttributeNames: NUMBERS,
        ExpressionAttributeValues: { ':id': { S: known.id }, ':number': { N: String(opening) } },
      });
      return { ...known, opening };
    } catch (error) {
      if (!isRefused(error)) throw error;
      throw ended(known.id, error);
    }
  }

  async touch(said: SaidNow): Promise<Pick<Session, 'holds' | 'seenAt'>> {
    const { agent, id, sequence, holds, seenAt, keptUntil } = said;
    try {
      await this.#table.update(keys.session(this.#table.tenant, agent, id), {
        UpdateExpression:
          'SET seenAt = :seen, holds = :holds, #sequence = :number, keptUntil = :kept, #expires = :expires',
        ConditionExpression: `${OPEN} AND ${NEWER}`,
        ExpressionAttributeNames: { '#expires': TABLE.expires, ...NUMBERS },
        ExpressionAttributeValues: {
          ':id': { S: id },
          ':seen': { S: seenAt },
          ':holds': { S: JSON.stringify(holds) },
          ':number': { N: String(sequence) },
          ':kept': { S: keptUntil },
          ':expires': { N: String(expiry(keptUntil)) },
        },
      });
      return said;
    } catch (error) {
      if (!isRefused(error)) throw error;
      const known = await this.session(agent, id);
      if (known === undefined || known.closedAt !== undefined) throw ended(id, error);
      if (known.sequence === sequence) return known;
      throw overtaken(known, error);
    }
  }

  async close({ agent, id }: Pick<Session, 'agent' | 'id'>, at: Instant): Promise<void> {
    const kept = plusSeconds(at, CLOSED_KEPT_SECONDS);
    try {
      await this.#table.update(keys.session(this.#table.tenant, agent, id), {
        UpdateExpression: 'SET closedAt = :at, keptUntil = :kept, #expires = :expires',
        ConditionExpression: OPEN,
        ExpressionAttributeNames: { '#expires': TABLE.expires },
        ExpressionAttributeValues: {
          ':id': { S: id },
          ':at': { S: at },
          ':kept': { S: kept },
          ':expires': { N: String(expiry(kept)) },
        },
      });
    } catch (error) {
      if (!isRefused(error)) throw error;
    }
  }

  async challenge(of: {
    session: string;
    rotation: string;
    challenge: string;
    expires: Instant;
  }): Promise<void> {
    await this.#table.put({
      ...keys.challenge(this.#table.tenant, of.session, of.rotation),
      kind: { S: 'challenge' },
      challenge: { S: of.challenge },
      until: { S: of.expires },
      [TABLE.expires]: { N: String(expiry(of.expires)) },
    });
  }

  async acknowledge(acknowledgement: Acknowledgement, challenge: string, now: Instant): Promise<void> {
    const { session, rotation, jws } = acknowledgement;
    try {
      await this.#table.transact([
        this.#table.putting(acknowledgementItem(this.#table.tenant, acknowledgement)),
        this.#table.deleting(keys.challenge(this.#table.tenant, session, rotation), {
          ConditionExpression: 'challenge = :challenge AND #until > :now',
          ExpressionAttributeNames: { '#until': 'until' },
          ExpressionAttributeValues: { ':challenge': { S: challenge }, ':now': { S: now } },
        }),
      ]);
    } catch (error) {
      if (!isRefused(error)) throw error;
      // The same again, after a lost answer: its challenge is spent, and by this one.
      if ((await this.acknowledgement(acknowledgement))?.jws === jws) return;
      if (!error.cancellationReasons.includes('ConditionalCheckFailed')) {
        throw new RekeyError('ERR_UNAVAILABLE', 'another acknowledgement of this session is being kept', {
          remedy: 'send it again',
          cause: error,
        });
      }
      throw new RekeyError('ERR_CHALLENGE', 'the challenge is unknown, spent or expired', {
        field: 'challenge',
        remedy: 'ask for a challenge for this session and rotation, and answer it within two minutes, once',
        cause: error,
      });
    }
  }

  async contradict(
    of: Pick<Acknowledgement, 'rotation' | 'opensAt' | 'session' | 'jws'>,
    at: Instant,
  ): Promise<void> {
    try {
      await this.#table.update(keys.acknowledgement(this.#table.tenant, of, of.session), {
        UpdateExpression: 'SET contradictedAt = if_not_exists(contradictedAt, :at)',
        ConditionExpression: 'jws = :jws',
        ExpressionAttributeValues: { ':at': { S: at }, ':jws': { S: of.jws } },
      });
    } catch (error) {
      if (!isRefused(error)) throw error;
    }
  }

  async acknowledgement(
    of: Pick<Acknowledgement, 'rotation' | 'opensAt' | 'session'>,
  ): Promise<Acknowledgement | undefined> {
    const item = await this.#table.get(keys.acknowledgement(this.#table.tenant, of, of.session));
    return item && acknowledgementOf(item);
  }

  async acknowledgements(
    of: Pick<Acknowledgement, 'rotation' | 'opensAt'>,
  ): Promise<readonly Acknowledgement[]> {
    const found: Acknowledgement[] = [];
    const pages = this.#table.pages({
      KeyConditionExpression: `${TABLE.pk} = :p`,
      ExpressionAttributeValues: { ':p': keys.acknowledgement(this.#table.tenant, of, '')[TABLE.pk] },
      ConsistentRead: true,
    });
    for await (const item of pages) found.push(acknowledgementOf(item));
    return found;
  }

  async report({
    credentialId,
    agent,
    session,
    versionId,
    succeeded,
    refused,
    from,
    to,
  }: UseReport): Promise<void> {
    const key = keys.use(this.#table.tenant, credentialId, minuteOf(from), `${session}#${versionId}`);
    try {
      await this.#table.update(key, {
        UpdateExpression:
          'SET #kind = :kind, #agent = :agent, #session = :session, versionId = :version, ' +
          '#from = if_not_exists(#from, :from), #to = :to, #expires = :expires ' +
          'ADD succeeded :succeeded, refused :refused',
        // Reports of a session come one after the other: one that ends no later was added before.
        ConditionExpression: 'attribute_not_exists(#to) OR #to < :to',
        ExpressionAttributeNames: {
          '#kind': 'kind',
          '#agent': 'agent',
          '#session': 'session',
          '#from': 'from',
          '#to': 'to',
          '#expires': TABLE.expires,
        },
        ExpressionAttributeValues: {
          ':kind': { S: 'use' },
          ':agent': { S: agent },
          ':session': { S: session },
          ':version': { S: versionId },
          ':from': { S: from },
          ':to': { S: to },
          ':expires': { N: String(expiry(plusSeconds(to, USES_KEPT_SECONDS))) },
          ':succeeded': { N: String(succeeded) },
          ':refused': { N: String(refused) },
        },
      });
    } catch (error) {
      if (!isRefused(error)) throw error;
    }
  }

  async stray(stray: Stray): Promise<void> {
    const now = expiry(this.#table.now());
    try {
      await this.#table.put(strayItem(this.#table.tenant, stray, now + STRAYED_SECONDS), {
        ConditionExpression: `${ABSENT.ConditionExpression} OR ${TABLE.expires} < :now`,
        ExpressionAttributeValues: { ':now': { N: String(now) } },
      });
    } catch (error) {
      if (!isRefused(error)) throw error;
    }
  }

  async strays(from: Instant, before: Instant): Promise<readonly Stray[]> {
    const found: Stray[] = [];
    const pages = this.#table.pages({
      IndexName: TABLE.index,
      KeyConditionExpression: `${TABLE.indexPk} = :g AND ${TABLE.indexSk} BETWEEN :from AND :to`,
      ExpressionAttributeValues: {
        ':g': { S: groups.strays(this.#table.tenant) },
        ':from': { S: from },
        ':to': { S: before },
      },
    });
    for await (const item of pages) found.push(documentOf<Stray>(item));
    return found.filter(({ at }) => at < before);
  }

  async uses(credentialId: string, from: Instant, to: Instant): Promise<readonly UseReport[]> {
    const found: UseReport[] = [];
    for await (const use of this.useLog(credentialId, from, to)) found.push(use);
    return found;
  }

  async *useLog(credentialId: string, from: Instant, to: Instant): AsyncIterable<UseReport> {
    const pages = this.#table.pages({
      KeyConditionExpression: `${TABLE.pk} = :p AND ${TABLE.sk} BETWEEN :from AND :to`,
      ExpressionAttributeValues: {
        ':p': keys.use(this.#table.tenant, credentialId, '', '')[TABLE.pk],
        // The longest report that ends after it; those of one minute stand in one item.
        ':from': { S: minuteOf(plusSeconds(from, -LONGEST_REPORT_SECONDS - 60)) },
        // After every session of that minute.
        ':to': { S: `${minuteOf(to)}$` },
      },
      ConsistentRead: true,
    });
    for await (const item of pages) {
      const use = useOf(credentialId, item);
      if (use.to > from) yield use;
    }
  }

  /** DynamoDB deletes what has expired within days. */
  #counts(item: Item): boolean {
    return (text(item, 'keptUntil') ?? '') >= this.#table.now();
  }
}

function minuteOf(instant: Instant): string {
  return instant.slice(0, 16);
}

function isRefused(error: unknown): error is AwsServiceError {
  return isAwsError(
    error,
    'ConditionalCheckFailedException',
    'TransactionCanceledException',
    'TransactionConflictException',
  );
}

function overtaken(known: Session, cause: unknown): RekeyError {
  return new RekeyError('ERR_CONFLICT', `a newer word of the instance ${known.instance} has come before`, {
    field: 'payload.sequence',
    remedy: `send the next one with a sequence above ${newestNumber(known)}`,
    cause,
  });
}

function ended(session: string, cause: unknown): RekeyError {
  return new RekeyError('ERR_CONFLICT', `the session ${session} has ended meanwhile`, {
    field: 'session',
    cause,
  });
}
