import { RekeyError } from '../../shared/domain/errors.ts';
import type { ControlServices } from './routes.ts';

/** Composes the API's services from the adapters. */
export function createServices(): ControlServices {
  throw new RekeyError('ERR_UNAVAILABLE', 'the services of the control API are not composed yet');
}
