import { capabilitiesOf } from './capabilities.ts';

/** What the upstream of a credential allows beside each other, in words; empty where nobody has said. */
export function limitsOf({
  type,
  provider,
  live,
}: {
  type: string;
  provider: string;
  live: readonly unknown[];
}): readonly string[] {
  const overlap = capabilitiesOf(type, provider)?.overlap;
  switch (overlap?.kind) {
    case 'dual':
      return [
        `old and new work beside each other until the old one is revoked: ${overlap.maxLive} at a time, ${live.length} now`,
      ];
    case 'grace':
      return [`the upstream ends the old one itself, ${overlap.seconds} s after the new one was made`];
    case 'none':
      return [
        `the new one cuts the old one off at once (${overlap.cutsAt === 'issue' ? 'when it is made' : 'when it is activated'})`,
      ];
    case undefined:
      return [];
  }
}
