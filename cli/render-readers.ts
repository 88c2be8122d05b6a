import type { ReaderView, ShowAnswer } from '../shared/api/messages.ts';
import { harmless, proposalText } from '../shared/domain/readers.ts';
import type { Output } from './io.ts';
import { when } from './render.ts';

/** What each kind of reader is, to somebody who looks on. */
const KINDS: Readonly<Record<string, string>> = {
  lambda: 'a Lambda function',
  ecs: 'code in an ECS task',
  'ecs-start': 'ECS, for a task that it starts',
  ec2: 'an EC2 instance',
  user: 'an IAM user',
  role: 'a role',
  person: 'a person',
  service: 'an AWS service',
  account: 'another account',
  session: 'a session at the source',
};

/** Readers that no holder is declared for, and what could be declared; then who still uses what a rotation ends. */
export function renderReaders(out: Output, { readers = [] }: ShowAnswer): void {
  const undeclared = readers.filter(({ declaredAs }) => declaredAs === undefined);
  if (undeclared.length > 0) {
    out.line(`\n${out.style('bold', 'seen, not declared')} (nothing waits for them):`);
    out.table(
      ['LAST SEEN', 'FIRST SEEN', 'WHAT', 'WHO'],
      undeclared.map((reader) => [
        when(reader.lastSeen),
        when(reader.firstSeen),
        KINDS[reader.kind] ?? reader.kind,
        who(reader),
      ]),
    );
    const proposals = undeclared.map(({ proposal }) => proposal).filter((one) => one !== undefined);
    if (proposals.length > 0) {
      out.line('As holders of this credential in rekey.yaml; fill in what stands in <>:');
      for (const proposal of proposals) out.line(`  ${proposalText(proposal)}`);
    }
  }
  for (const reader of readers.filter(({ onLoser }) => onLoser === true)) {
    out.line(
      out.style('yellow', `${who(reader)} has used, in the open window, what the rotation under way ends`),
    );
  }
}

/** Names are others' own: in one line, without what could steer a terminal. */
function who({ principal, name, address, version, declaredAs }: ReaderView): string {
  const about = [
    name,
    address === undefined ? undefined : `from ${address}`,
    version === undefined ? undefined : `version ${version}`,
    declaredAs === undefined ? undefined : `declared as ${declaredAs}`,
  ].filter((part) => part !== undefined);
  return harmless(about.length === 0 ? principal : `${principal} (${about.join(', ')})`, 2048);
}
