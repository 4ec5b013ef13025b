export { Allocator, type AllocatorDeps } from './allocator.js';
export { NO_NETWORKS, type Allocation, type NetworkProvider, type WantedNetwork } from './network-provider.js';
