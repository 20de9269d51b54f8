/* A driver without a GPU: the functions of libcuda.so.1 that we call, over plain memory.
 *
 * Signatures: https://docs.nvidia.com/cuda/cuda-driver-api. "Device" addresses lie above 4 GiB, as
 * real ones do, so that a pointer cut to 32 bits is found. FAKE_CUDA sets what it claims to be:
 * "none" has no GPU, "integrated" shares the CPU's memory, "full" has no memory left.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>

#define OFFSET 0x700000000000ULL
static char context_object, stream_object;
static int is(const char *what) {
    const char *said = getenv("FAKE_CUDA");
    return said && !strcmp(said, what);
}
static int current, open_buffers, open_streams;

int cuInit(unsigned flags) { return flags ? 1 : is("none") ? 100 : 0; }
int cuDeviceGet(int *device, int ordinal) { *device = 7 + ordinal; return 0; }
int cuDriverGetVersion(int *version) { *version = 13020; return 0; }
int cuDeviceGetName(char *name, int size, int device) {
    snprintf(name, size, "Fake %d", device);
    return 0;
}
int cuDeviceGetAttribute(int *value, int which, int device) {
    if (device != 7) return 101;
    *value = which == 75 ? 8 : which == 76 ? 7 : which == 18 ? is("integrated") : -1;
    return 0;
}
int cuDevicePrimaryCtxRetain(void **context, int device) {
    *context = &context_object;
    return device == 7 ? 0 : 101;
}
int cuDevicePrimaryCtxRelease_v2(int device) { return device == 7 ? 0 : 101; }
int cuCtxSetCurrent(void *context) { current = context == &context_object; return current ? 0 : 201; }
int cuStreamCreate(void **stream, unsigned flags) {
    *stream = &stream_object;
    open_streams++;
    return flags ? 1 : 0;
}
int cuStreamSynchronize(void *stream) { return stream == &stream_object ? 0 : 400; }
int cuStreamDestroy_v2(void *stream) {
    open_streams--;
    return stream == &stream_object ? 0 : 400;
}
int cuMemGetInfo_v2(size_t *free_bytes, size_t *total) {
    *free_bytes = 6ULL << 30;
    *total = 8ULL << 30;
    return current ? 0 : 201;
}
int cuMemHostAlloc(void **host, size_t size, unsigned flags) {
    if (is("full")) return 2;
    *host = malloc(size);
    open_buffers++;
    return flags == (is("integrated") ? 2u : 0u) ? 0 : 1;
}
int cuMemHostGetDevicePointer_v2(uint64_t *device, void *host, unsigned flags) {
    *device = (uint64_t)host;
    return flags ? 1 : 0;
}
int cuMemAlloc_v2(uint64_t *device, size_t size) {
    *device = (uint64_t)malloc(size) ^ OFFSET;
    open_buffers++;
    return 0;
}
int cuMemcpyHtoDAsync_v2(uint64_t device, const void *host, size_t size, void *stream) {
    memcpy((void *)(device ^ OFFSET), host, size);
    return stream == &stream_object ? 0 : 400;
}
int cuMemcpyDtoHAsync_v2(void *host, uint64_t device, size_t size, void *stream) {
    memcpy(host, (void *)(device ^ OFFSET), size);
    return stream == &stream_object ? 0 : 400;
}
int cuMemFree_v2(uint64_t device) { free((void *)(device ^ OFFSET)); open_buffers--; return 0; }
int cuMemFreeHost(void *host) { free(host); open_buffers--; return 0; }
int cuGetErrorString(int status, const char **text) {
    *text = status == 201 ? "invalid device context" : "something else";
    return 0;
}
int fake_open_buffers(void) { return open_buffers; }
int fake_open_streams(void) { return open_streams; }
