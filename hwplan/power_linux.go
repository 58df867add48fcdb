package hwplan

// power reads the batteries that feed the machine, not those of a mouse, and what
// charges them: a weak charger does not keep a busy machine's battery from discharging,
// but it is on mains.
func (m machine) power() Power {
	var batteries, percent int
	var online, discharging bool
	for _, supply := range m.glob("sys/class/power_supply/*") {
		if m.text(supply, "scope") == "Device" {
			continue
		}
		switch m.text(supply, "type") {
		case "Battery":
			if m.text(supply, "present") == "0" {
				continue
			}
			batteries++
			percent += int(min(100, m.number(supply, "capacity")))
			discharging = discharging || m.text(supply, "status") == "Discharging"
		case "Mains", "USB":
			online = online || m.number(supply, "online") > 0 // 2 is a programmable USB supply
		}
	}
	if batteries == 0 {
		return Power{}
	}
	return Power{Battery: true, OnBattery: discharging && !online, Percent: percent / batteries}
}
