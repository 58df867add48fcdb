package hwplan

const intelVendor = 0x8086

// npuNames are Intel's NPUs by PCI device, as in Linux's drivers/accel/ivpu/ivpu_drv.h.
var npuNames = map[uint64]string{
	0x7d1d: "Intel AI Boost (Meteor Lake)",
	0xad1d: "Intel AI Boost (Arrow Lake)",
	0x643e: "Intel AI Boost (Lunar Lake)",
	0xb03e: "Intel AI Boost (Panther Lake)",
	0xfd3e: "Intel AI Boost (Wildcat Lake)",
}
