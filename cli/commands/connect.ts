import { Option, type Command } from 'commander';
import {
  consentAnswer,
  consentRequestAnswer,
  type ConsentAnswer,
  type ConsentRequestAnswer,
} from '../../shared/api/messages.ts';
import { duration } from '../../shared/domain/declaration-form.ts';
import { durationSeconds } from '../../shared/domain/duration.ts';
import { LONG_TIMEOUT_MS, type ApiClient } from '../client.ts';
import { examples, filled, type AddCommand } from '../command.ts';
import { Loopback } from '../consent/loopback.ts';
import { codeIn, newConsent, unhappy, type PendingConsent } from '../consent/request.ts';
import type { Context } from '../context.ts';
import { EXIT, usage } from '../failure.ts';

interface Options {
  readonly browser: boolean;
  readonly paste?: true;
  readonly redirectUri?: string;
  readonly port: number;
  readonly timeout: number;
  readonly reason?: string;
}

/** What the API is told: nothing where the client acts for itself. */
type Given = { code: string; codeVerifier: string; redirectUri: string } | undefined;

/** `rekey connect FAMILY`: the first consent, and consent again. No token comes near this process. */
async function connect(context: Context, name: string, options: Options): Promise<number> {
  const { out } = context;
  const client = await context.client();
  const consent = await consentOf(context, client, name, options);
  const { reason } = options;
  const answer = await out.waiting(
    'fetching tokens',
    client.post(consentAnswer, ['families', name, 'consents'], {
      body: {
        ...(consent === undefined ? {} : { consent }),
        ...(reason === undefined ? {} : { reason }),
      },
      timeoutMs: LONG_TIMEOUT_MS,
    }),
  );
  out.event(answer);
  tell(context, answer);
  return EXIT.ok;
}

async function consentOf(
  context: Context,
  client: ApiClient,
  name: string,
  options: Options,
): Promise<Given> {
  const { redirectUri } = options;
  if (redirectUri === undefined && options.paste === undefined) {
    await using loopback = await Loopback.listen(options.port);
    const consent = newConsent();
    const asked = await ask(context, client, name, consent, loopback.redirectUri);
    if (asked.url === undefined) return undefined;
    show(context, { ...asked, url: asked.url }, options);
    const read = (params: URLSearchParams): string | undefined => codeIn(params, consent, asked);
    const code = await context.out.waiting(
      'waiting for the browser',
      loopback.code(read, options.timeout * 1000),
    );
    return { code, codeVerifier: consent.codeVerifier, redirectUri: loopback.redirectUri };
  }
  if (!context.out.io.stdinIsTty) {
    throw usage(`${redirectUri === undefined ? '--paste' : '--redirect-uri'} needs a terminal to paste into`);
  }
  return pasted(context, client, name, { ...options, browser: false }, redirectUri ?? UNREACHED);
}

/** On another machine than the browser's nobody listens there: the browser stops at it, and its address has the code. */
const UNREACHED = 'http://127.0.0.1/callback';

async function pasted(
  context: Context,
  client: ApiClient,
  name: string,
  options: Options,
  redirectUri: string,
): Promise<Given> {
  const consent = newConsent();
  const asked = await ask(context, client, name, consent, redirectUri);
  if (asked.url === undefined) return undefined;
  show(context, { ...asked, url: asked.url }, options);
  const text = (await context.out.io.ask('Address at which the browser ends: ')).trim();
  if (text === '') throw unhappy('nothing was pasted');
  const params = URL.canParse(text) ? new URL(text).searchParams : new URLSearchParams();
  const code = codeIn(params, consent, asked);
  if (code === undefined) throw unhappy('that address does not belong to this consent', 'paste all of it');
  return { code, codeVerifier: consent.codeVerifier, redirectUri };
}

async function ask(
  { out }: Context,
  client: ApiClient,
  name: string,
  { state, codeChallenge }: PendingConsent,
  redirectUri: string,
): Promise<ConsentRequestAnswer> {
  const body = { redirectUri, state, codeChallenge };
  return out.waiting(
    'looking up the server',
    client.post(consentRequestAnswer, ['families', name, 'consent-requests'], {
      body,
      timeoutMs: LONG_TIMEOUT_MS,
    }),
  );
}

function show(
  { out }: Context,
  { family, url, scopes }: ConsentRequestAnswer & { url: string },
  { browser }: Options,
): void {
  out.event({ family, url });
  out.note(`Consent for ${family}${scopes.length === 0 ? '' : `: ${scopes.join(' ')}`}`);
  out.note(`Open in a browser, logged in as whoever the agents are to act for:\n\n  ${url}\n`);
  if (browser && !out.json) out.io.open(url);
}

function tell({ out }: Context, { family, secret, expiresAt, missing, refreshable }: ConsentAnswer): void {
  const until = expiresAt === undefined ? '' : `, the first one until ${expiresAt}`;
  out.line(
    `${out.style('green', 'connected')}: agents read access tokens of ${family} from ${secret}${until}`,
  );
  if (missing.length > 0) out.line(`Not granted: ${missing.join(' ')}`);
  if (!refreshable)
    out.line('The server gave no refresh token: somebody has to consent again before the access token ends.');
}

function timeoutSeconds(text: string): number {
  const parsed = duration.safeParse(text);
  if (!parsed.success) {
    throw usage(`--timeout ${text}: ${parsed.error.issues[0]?.message ?? 'not a duration'}`);
  }
  return durationSeconds(text);
}

function portNumber(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw usage(`--port ${text} is no port`, 'name one from 1 to 65535');
}

/** `rekey connect` on the command line. */
export const addConnect: AddCommand = (program, run) => {
  program
    .command('connect')
    .summary('consent, or consent again, for a family of OAuth tokens')
    .description(
      'Sends your browser to the authorization server of the family and hands the code that comes back on 127.0.0.1 to ' +
        'Rekey, whose coordinator fetches the tokens (authorization code with PKCE). This command never sees a token nor ' +
        "the client's secret. A family that works is replaced only once the new tokens are stored. Where the client acts " +
        'for itself (client_credentials) no browser is needed.',
    )
    .argument('<family>', 'name of the family')
    .option('--no-browser', 'only print the address')
    .option('--paste', 'the browser is on another machine: paste the address at which it ends')
    .option(
      '--redirect-uri <url>',
      'redirect address of the registration, where it allows none on loopback; implies --paste',
      filled('--redirect-uri'),
    )
    .option(
      '--port <number>',
      'port on 127.0.0.1, where the registration names one; default: any',
      portNumber,
      0,
    )
    .addOption(
      new Option('--timeout <duration>', 'how long to wait for the browser')
        .argParser(timeoutSeconds)
        .default(300, '5m'),
    )
    .option('--reason <text>', 'why; stands in the audit trail', filled('--reason'))
    .addHelpText(
      'after',
      examples(
        'rekey connect crm',
        'rekey connect crm --paste --reason "the old consent was withdrawn"',
        'rekey connect crm --no-browser --json',
      ),
    )
    .action(async (family: string, given: Options, command: Command) => {
      await run(command, (context) => connect(context, family, given));
    });
};
