import type { AddCommand } from '../command.ts';
import { addIncidentApprove, addIncidentDeny, addIncidentHeld } from './incident-approve.ts';
import { addIncidentSignal } from './incident-signal.ts';

/** In the order of the help. */
const SUBCOMMANDS: readonly AddCommand[] = [
  addIncidentSignal,
  addIncidentHeld,
  addIncidentApprove,
  addIncidentDeny,
];

/** `rekey incident …` on the command line. */
export const addIncident: AddCommand = (program, run) => {
  const group = program
    .command('incident')
    .summary('send signals of leaks, and decide on those that are held')
    .description('What is found of leaks and what comes of it (docs/signals.md).');
  for (const add of SUBCOMMANDS) add(group, run);
};
