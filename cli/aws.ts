import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { AwsV4Signer } from 'aws4fetch';
import { OUTPUT, stackName } from '../shared/names.ts';
import { EXIT, Failure, usage } from './failure.ts';

/** Options and environment that decide where `rekey` goes and as whom, as the AWS CLI takes them. */
export interface AwsOptions {
  readonly profile?: string | undefined;
  readonly region?: string | undefined;
  readonly endpointUrl?: string | undefined;
}

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

type Env = Readonly<Record<string, string | undefined>>;

const LOOK_UP_LIMIT_MS = 10_000;

/** Services that the CLI itself asks, with the caller's own rights. */
const NAME = { cloudformation: 'CloudFormation', cloudtrail: 'CloudTrail', sns: 'SNS' } as const;
type Service = keyof typeof NAME;

/** What services of the JSON protocol put in front of an operation. */
const TARGET = { cloudtrail: 'com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101' } as const;

/** What a service says in place of an answer. */
interface Refused {
  readonly refused: { readonly code: string; readonly message: string };
}

/** The chain remarks on stderr that --profile wins over keys in the environment, which is how the AWS CLI has it. */
const SILENT = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** Region, endpoint and credentials of one invocation. */
export class AwsContext {
  readonly #options: AwsOptions;
  readonly #env: Env;
  #profile: Promise<Readonly<Record<string, string>>> | undefined;
  #credentials: Promise<Credentials> | undefined;

  constructor(options: AwsOptions, env: Env) {
    this.#options = options;
    this.#env = env;
  }

  /** `--region`, AWS_REGION, AWS_DEFAULT_REGION, then the profile's own. */
  async region(): Promise<string> {
    const region =
      this.#options.region ??
      set(this.#env['AWS_REGION']) ??
      set(this.#env['AWS_DEFAULT_REGION']) ??
      (await this.#settings())['region'];
    if (region !== undefined && /^[a-z0-9-]+$/.test(region)) return region;
    throw usage(
      region === undefined ? 'no region is known' : `"${region}" is not a region`,
      'pass --region, or set AWS_REGION or the region of your profile',
    );
  }

  /** `--endpoint-url`, AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL, then the profile's own. */
  async endpoint(service: Service = 'cloudformation'): Promise<string | undefined> {
    if (this.#options.endpointUrl !== undefined) return this.#options.endpointUrl;
    if (this.#env['AWS_IGNORE_CONFIGURED_ENDPOINT_URLS'] === 'true') return undefined;
    return (
      set(this.#env[`AWS_ENDPOINT_URL_${service.toUpperCase()}`]) ??
      set(this.#env['AWS_ENDPOINT_URL']) ??
      (await this.#settings())['endpoint_url']
    );
  }

  /** The default chain of the AWS SDKs; keys in the environment don't even load it. */
  credentials(): Promise<Credentials> {
    return (this.#credentials ??= this.#findCredentials());
  }

  async #findCredentials(): Promise<Credentials> {
    const { profile } = this.#options;
    const accessKeyId = set(this.#env['AWS_ACCESS_KEY_ID']);
    const secretAccessKey = set(this.#env['AWS_SECRET_ACCESS_KEY']);
    if (profile === undefined && accessKeyId !== undefined && secretAccessKey !== undefined) {
      return { accessKeyId, secretAccessKey, sessionToken: set(this.#env['AWS_SESSION_TOKEN']) };
    }
    const { fromNodeProviderChain } = await import('@aws-sdk/credential-providers');
    try {
      return await fromNodeProviderChain({ logger: SILENT, ...(profile === undefined ? {} : { profile }) })();
    } catch (error) {
      throw new Failure(
        'ERR_CREDENTIALS',
        `no AWS credentials: ${error instanceof Error ? error.message : 'unknown'}`,
        {
          remedy: 'log in as for the AWS CLI (`aws sso login`), pass --profile, or set AWS_PROFILE',
          cause: error,
        },
      );
    }
  }

  /** What the shared configuration file says for the profile. */
  #settings(): Promise<Readonly<Record<string, string>>> {
    return (this.#profile ??= readProfile(
      set(this.#env['AWS_CONFIG_FILE']) ?? join(homedir(), '.aws', 'config'),
      this.#options.profile ?? set(this.#env['AWS_PROFILE']) ?? 'default',
    ));
  }

  /** As whom and where it calls, in words for an error; without a secret, and without asking anybody. */
  async identity(): Promise<string> {
    const { profile } = this.#options;
    const fromKeys = profile === undefined && set(this.#env['AWS_ACCESS_KEY_ID']) !== undefined;
    const name = profile ?? set(this.#env['AWS_PROFILE']) ?? 'default';
    const region = await this.region().catch(() => 'no known region');
    return `${fromKeys ? 'the keys in the environment' : `profile ${name}`} in ${region}`;
  }

  /** A signed request; the caller sends it. */
  async sign(
    service: string,
    url: string,
    init: { method: string; headers: Record<string, string>; body?: string },
  ) {
    const { accessKeyId, secretAccessKey, sessionToken } = await this.credentials();
    return new AwsV4Signer({
      url,
      ...init,
      service,
      region: regionOfUrl(url) ?? (await this.region()),
      accessKeyId,
      secretAccessKey,
      ...(sessionToken === undefined ? {} : { sessionToken }),
    }).sign();
  }

  /** The API's address from the outputs of its stack. */
  async lookUpApiUrl(stage: string): Promise<string> {
    const stack = stackName(stage, 'api');
    const answer = await this.query('cloudformation', {
      Action: 'DescribeStacks',
      Version: '2010-05-15',
      StackName: stack,
    });
    if ('text' in answer) {
      const url = outputOf(answer.text, OUTPUT.apiUrl);
      if (url !== undefined) return url;
      throw new Failure('ERR_NOT_FOUND', `the stack ${stack} has no output ${OUTPUT.apiUrl}`, {
        remedy: 'deploy it again, or pass --api-url',
      });
    }
    const { message } = answer.refused;
    if (isAbsent(message)) {
      throw new Failure('ERR_NOT_FOUND', `there is no stack ${stack} in ${await this.region()}`, {
        remedy: 'pass the --stage and --region of your deployment, or --api-url',
      });
    }
    throw new Failure('ERR_FORBIDDEN', `CloudFormation refused to describe ${stack}: ${message}`, {
      remedy: 'allow cloudformation:DescribeStacks on it, or pass --api-url or REKEY_API_URL',
    });
  }

  /** An operation of a service of the AWS query protocol: its answer as XML, or its refusal. */
  async query(
    service: 'cloudformation' | 'sns',
    input: Readonly<Record<string, string>>,
  ): Promise<{ text: string } | Refused> {
    const headers = { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' };
    const body = new URLSearchParams(input).toString();
    const { ok, status, text } = await this.#post(
      service,
      { headers, body },
      input['StackName'] ?? input['TopicArn'] ?? '',
    );
    if (ok) return { text };
    const said = (tag: string): string | undefined => new RegExp(`<${tag}>([^<]*)</${tag}>`).exec(text)?.[1];
    return {
      refused: { code: said('Code') ?? '', message: decodeXml(said('Message') ?? `HTTP ${status}`) },
    };
  }

  /** An operation of a service of the AWS JSON protocol: its answer, or its refusal. */
  async json<T>(
    service: keyof typeof TARGET,
    operation: string,
    input: object,
  ): Promise<{ answer: T } | Refused> {
    const headers = {
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': `${TARGET[service]}.${operation}`,
    };
    const { ok, status, text } = await this.#post(
      service,
      { headers, body: JSON.stringify(input) },
      operation,
    );
    if (ok) return { answer: JSON.parse(text) as T };
    const code = /"__type"\s*:\s*"(?:[^"#]*#)?([^"]*)"/.exec(text)?.[1] ?? '';
    return { refused: { code, message: `HTTP ${status}` } };
  }

  async #post(
    service: Service,
    sent: { headers: Record<string, string>; body: string },
    about: string,
  ): Promise<{ ok: boolean; status: number; text: string }> {
    const region = await this.region();
    const suffix = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com';
    const endpoint = (await this.endpoint(service)) ?? `https://${service}.${region}.${suffix}`;
    const { url, headers } = await this.sign(service, `${checkedUrl(endpoint, 'the endpoint URL')}/`, {
      method: 'POST',
      ...sent,
    });
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers,
        body: sent.body,
        signal: AbortSignal.timeout(LOOK_UP_LIMIT_MS),
      });
      return { ok: response.ok, status: response.status, text: await response.text() };
    } catch (error) {
      throw new Failure('ERR_UNAVAILABLE', `${NAME[service]} at ${url.host} did not answer`, {
        exit: EXIT.unreachable,
        remedy: `it was asked for ${about}, as ${await this.identity()}. Check the network, --profile, --region and --endpoint-url, or pass --api-url`,
        cause: error,
      });
    }
  }
}

/** CloudFormation's words for a stack that isn't there; it has no code for that. */
export function isAbsent(message: string): boolean {
  return /does not exist/.test(message);
}

/** The value of a stack output in the answer of DescribeStacks. */
export function outputOf(xml: string, key: string): string | undefined {
  for (const [member] of xml.matchAll(/<member>(?:(?!<member>)[\s\S])*?<\/member>/g)) {
    if (/<OutputKey>([^<]*)<\/OutputKey>/.exec(member)?.[1] !== key) continue;
    const value = /<OutputValue>([^<]*)<\/OutputValue>/.exec(member)?.[1];
    if (value !== undefined) return decodeXml(value);
  }
  return undefined;
}

function decodeXml(text: string): string {
  const entities: Record<string, string> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };
  return text.replace(/&(lt|gt|quot|apos|amp);/g, (whole, name: string) => entities[name] ?? whole);
}

/** A URL without trailing slash. Plain HTTP only to this machine: a session token would go in the clear. */
export function checkedUrl(text: string, what: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    throw usage(`${what} "${text}" is not an http(s) URL`);
  }
  const { hostname } = url;
  const loopback = /^(127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname) || /(^|\.)localhost$/.test(hostname);
  if (url.protocol === 'http:' && !loopback)
    throw usage(`${what} must be https unless it is on this machine`);
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
}

/** The region in the name of an API of API Gateway. */
function regionOfUrl(url: string): string | undefined {
  return /^[a-z0-9]+\.execute-api\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?$/.exec(new URL(url).hostname)?.[1];
}

async function readProfile(file: string, profile: string): Promise<Readonly<Record<string, string>>> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const wanted = profile === 'default' ? ['default', 'profile default'] : [`profile ${profile}`];
  const settings: Record<string, string> = {};
  let inside = false;
  for (const line of text.split(/\r?\n/)) {
    const section = /^\s*\[\s*([^\]]+?)\s*\]/.exec(line)?.[1];
    if (section !== undefined) inside = wanted.includes(section.replace(/\s+/g, ' ').replaceAll(/["']/g, ''));
    // Nested settings are indented: those belong to a service, not to the profile.
    const setting = /^([a-z_]+)\s*=\s*(.*?)\s*$/.exec(line);
    if (inside && setting?.[1] !== undefined && setting[2] !== undefined) settings[setting[1]] = setting[2];
  }
  return settings;
}

function set(value: string | undefined): string | undefined {
  return value === undefined || value === '' ? undefined : value;
}
