// What NVML answered of a real card on 2026-11-26, multiplying matrices: one NVIDIA H100, driver 580.159.04 (NVML
// 13.580.159.04), Linux 6.18, asked through ctypes. All of it returned NVML_SUCCESS.
#define NAME "NVIDIA H100 80GB HBM3"
#define UUID "GPU-63e8dc4c-ffa8-3e2f-7e02-934fe1a52677"
#define DRIVER "580.159.04"
#define MEMORY {85520809984ULL, 84091797504ULL, 1429012480ULL}
#define BUS_BITS 5120
#define MAX_MEMORY_MHZ 2619
#define MAX_SM_MHZ 1980
#define MEMORY_MHZ 2619
#define SM_MHZ 1290
#define CELSIUS 56
#define SHUTDOWN_C 95
#define SLOWDOWN_C 89
#define POWER_MW 696098
#define LIMIT_MW 700000
#define UTILIZATION {100, 30}
#define EVENT_REASONS 4
#define THROTTLE_REASONS 4
