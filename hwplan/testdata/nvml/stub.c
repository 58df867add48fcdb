// A libnvidia-ml of its own making, for the tests. It has one RTX 3050 6GB Laptop, or as many cards as CARDS;
// with h100.h before it, what a real card answered.
// INIT is what nvmlInit answers; OLD leaves out what drivers before 535 lack; BARE all that is not needed;
// LOST loses the card after its first reading; HALF loses the last card for good; WITHOUT supports little.
#include <string.h>

#ifndef INIT
#define INIT 0
#endif
#ifndef CARDS
#define CARDS 1
#endif

#ifndef NAME
#define NAME "NVIDIA GeForce RTX 3050 6GB Laptop GPU"
#define UUID "GPU-1b7f34a2-5c7c-9e0e-2f2b-7c1d5a3e9f10"
#define DRIVER "580.95.05"
#define MEMORY {6141ULL << 20, 5900ULL << 20, 241ULL << 20}
#define BUS_BITS 96
#define MAX_MEMORY_MHZ 7001
#define MAX_SM_MHZ 2100
#define MEMORY_MHZ 6001
#define SM_MHZ 1230
#define CELSIUS 88
#define SHUTDOWN_C 100
#define SLOWDOWN_C 87
#define POWER_MW 58310
#define LIMIT_MW 60000
#define UTILIZATION {97, 40}
#define EVENT_REASONS 0x28
#define THROTTLE_REASONS 0x4
#endif

enum { SUCCESS = 0, NOT_SUPPORTED = 3, GPU_IS_LOST = 15 };
#ifdef WITHOUT
enum { LAPTOP = NOT_SUPPORTED };
#else
enum { LAPTOP = SUCCESS };
#endif

typedef struct { unsigned long long total, free, used; } memory;
typedef struct { unsigned int gpu, memory; } rates;

static int readings;
static unsigned long handles[8] = {1, 2, 3, 4, 5, 6, 7, 8};

#ifdef BARE
int nvmlInit(void) { return INIT; }
int nvmlDeviceGetCount(unsigned int *count) { *count = CARDS; return SUCCESS; }
#else
int nvmlInit_v2(void) { return INIT; }
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = CARDS; return SUCCESS; }
#endif
int nvmlShutdown(void) { readings = 0; return SUCCESS; }

#ifdef BARE
int nvmlDeviceGetHandleByIndex(unsigned int i, void **device) {
#else
int nvmlDeviceGetHandleByIndex_v2(unsigned int i, void **device) {
#endif
#ifdef HALF
	if (i == CARDS - 1) return GPU_IS_LOST;
#endif
	*device = &handles[i];
	return SUCCESS;
}

int nvmlDeviceGetName(void *device, char *name, unsigned int length) {
	strncpy(name, NAME, length);
	return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(void *device, memory *m) {
#ifdef LOST
	if (readings++ > 0) return GPU_IS_LOST;
#endif
	*m = (memory)MEMORY;
	return SUCCESS;
}

#ifndef BARE
int nvmlSystemGetDriverVersion(char *version, unsigned int length) {
	strncpy(version, DRIVER, length);
	return SUCCESS;
}

int nvmlDeviceGetUUID(void *device, char *uuid, unsigned int length) {
	strncpy(uuid, UUID, length);
	return SUCCESS;
}

int nvmlDeviceGetMaxClockInfo(void *device, int clock, unsigned int *mhz) {
	*mhz = clock == 2 ? MAX_MEMORY_MHZ : MAX_SM_MHZ;
	return SUCCESS;
}

int nvmlDeviceGetClockInfo(void *device, int clock, unsigned int *mhz) {
	*mhz = clock == 2 ? MEMORY_MHZ : SM_MHZ;
	return SUCCESS;
}

int nvmlDeviceGetTemperature(void *device, int sensor, unsigned int *celsius) { *celsius = CELSIUS; return SUCCESS; }

int nvmlDeviceGetTemperatureThreshold(void *device, int kind, unsigned int *celsius) {
	*celsius = kind == 1 ? SLOWDOWN_C : SHUTDOWN_C;
	return LAPTOP;
}

int nvmlDeviceGetPowerUsage(void *device, unsigned int *mw) { *mw = POWER_MW; return LAPTOP; }
int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned int *mw) { *mw = LIMIT_MW; return LAPTOP; }
int nvmlDeviceGetUtilizationRates(void *device, rates *r) { *r = (rates)UTILIZATION; return LAPTOP; }
int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *bits) { *bits = THROTTLE_REASONS; return SUCCESS; }

#ifndef OLD
int nvmlDeviceGetMemoryBusWidth(void *device, unsigned int *bits) { *bits = BUS_BITS; return SUCCESS; }
int nvmlDeviceGetCurrentClocksEventReasons(void *device, unsigned long long *bits) { *bits = EVENT_REASONS; return SUCCESS; }
#endif
#endif
