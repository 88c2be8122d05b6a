import type { Redacted } from './redacted.ts';

/** The form of a key's text, by what its provider writes before it. */
export type KeyForm = keyof typeof FORMS;

interface Form {
  readonly pattern: RegExp;
  /** Whose it may be, as `type/provider`; several where others write the same. */
  readonly kinds: readonly `${string}/${string}`[];
  /** Why it is none that Rekey gives to agents. */
  readonly not?: string;
}

/** An administrative key is a root of its own; `provider` is what its entry says. */
function administrative(provider: string): string {
  return (
    'it is an administrative key: tag its secret rekey:admin, name it as admin of the credentials that it ' +
    `administers, and declare it under roots with provider ${provider} (docs/roots.md)`
  );
}

/** From the most telling to the least: the first that fits counts. */
const FORMS = {
  'sk-ant-admin…': { pattern: /^sk-ant-admin\d{2}-[\w-]{16,}$/, kinds: [], not: administrative('by-hand') },
  'sk-ant-api…': { pattern: /^sk-ant-api\d{2}-[\w-]{16,}$/, kinds: ['llm-key/anthropic'] },
  'sk-ant-…': {
    pattern: /^sk-ant-[\w-]{16,}$/,
    kinds: [],
    not: 'it is no API key of Anthropic: a token of a login, which ends by itself',
  },
  'sk-admin-…': { pattern: /^sk-admin-[\w-]{16,}$/, kinds: [], not: administrative('openai-admin') },
  'sk-svcacct-…': { pattern: /^sk-svcacct-[\w-]{16,}$/, kinds: ['llm-key/openai'] },
  'sk-proj-…': { pattern: /^sk-proj-[\w-]{16,}$/, kinds: ['llm-key/openai'] },
  // Written by OpenAI before it had projects, and by others to this day.
  'sk-…': { pattern: /^sk-[\w-]{20,}$/, kinds: ['llm-key/openai', 'llm-key/another'] },
  'pcsk_…': { pattern: /^pcsk_[\w-]{16,}$/, kinds: ['vector-database-key/pinecone'] },
  // Of Gemini as of Maps: its restrictions tell, its text doesn't.
  'AIza…': { pattern: /^AIza[\w-]{35}$/, kinds: ['llm-key/google', 'cloud-key/google'] },
  // Of Azure OpenAI as of speech and vision: one service keeps them all.
  '…JQQJ99…ACOG…': {
    pattern: /^[A-Za-z0-9]{52}JQQJ9[9DH][A-Za-z0-9]{18}ACOG[A-Za-z0-9]{4}$/,
    kinds: ['llm-key/azure-openai', 'cloud-key/azure-ai'],
  },
  // A service account's, where the key file says so (inventory.ts).
  '-----BEGIN PRIVATE KEY-----': {
    pattern: /^-----BEGIN PRIVATE KEY-----\s/,
    kinds: ['cloud-key/gcp-service-account', 'signing-key/another'],
  },
  'AKIA…': { pattern: /^AKIA[A-Z0-9]{16}$/, kinds: ['cloud-key/aws-iam'] },
  'ASIA…': { pattern: /^ASIA[A-Z0-9]{16}$/, kinds: [], not: 'it is of a session, which ends by itself' },
} as const satisfies Readonly<Record<string, Form>>;

/** What is known of a form; undefined where another version wrote one that this one doesn't know. */
export function formOf(name: string): Form | undefined {
  return Object.hasOwn(FORMS, name) ? FORMS[name as KeyForm] : undefined;
}

/** The form of a text; undefined where it is no key's that can be told. */
export function keyFormOf(text: Redacted<string>): KeyForm | undefined {
  const value = text.reveal().trim();
  return (Object.keys(FORMS) as KeyForm[]).find((name) => FORMS[name].pattern.test(value));
}

/** What a person calls the field of a key, e.g. `OPENAI_API_KEY`. */
export function isKeyField(name: string): boolean {
  return /(^|[_-])(api[_-]?)?key$|apikey$/i.test(name);
}
