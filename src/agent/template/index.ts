export { checkTaskTemplates, expandPayload, expandTaskSpec } from './expand.js';
