export { KeyManager, type KeyManagerDependencies, type KeyManagerOptions } from './key-manager.js';
export { KEY_SUBSYSTEMS, completeKeys, rotateKeys, type KeyRing } from './rotate-keys.js';
