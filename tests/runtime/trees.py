"""What the kernels of real boards show, as small trees of text files.

Lines and labels are those that boards show (JetPack 4 to 7, Raspberry Pi OS); values are made up.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

Tree = Mapping[str, str]


def plant(root: Path, *trees: Tree) -> Path:
    """Write the files of trees below a folder."""
    for tree in trees:
        for name, text in tree.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return root


def _compatible(*parts: str) -> dict[str, str]:
    return {"proc/device-tree/compatible": "\0".join(parts) + "\0"}


def _zones(**celsius: float) -> dict[str, str]:
    return {
        f"sys/class/thermal/thermal_zone{index}/{file}": text
        for index, (name, value) in enumerate(celsius.items())
        for file, text in (
            ("type", name.replace("_", "-") + "\n"),
            ("temp", f"{value * 1000:.0f}\n"),
        )
    }


def _release(major: int, revision: str) -> dict[str, str]:
    line = f"# R{major} (release), REVISION: {revision}, GCID: 38968081, BOARD: generic\n"
    return {"etc/nv_tegra_release": line}


def _cpu(number: int, least: int, most: int) -> dict[str, str]:
    folder = f"sys/devices/system/cpu/cpu{number}/cpufreq"
    return {f"{folder}/scaling_min_freq": f"{least}\n", f"{folder}/scaling_max_freq": f"{most}\n"}


def _gpu(name: str, least: int, now: int, most: int) -> dict[str, str]:
    folder = f"sys/class/devfreq/{name}"
    return {
        f"{folder}/min_freq": f"{least}\n",
        f"{folder}/cur_freq": f"{now}\n",
        f"{folder}/max_freq": f"{most}\n",
    }


def _rail(chip: int, channel: int, name: str, millivolts: int, milliamperes: int) -> dict[str, str]:
    folder = f"sys/class/hwmon/hwmon{chip}"
    return {
        f"{folder}/name": "ina3221\n",
        f"{folder}/in{channel}_label": f"{name}\n",
        f"{folder}/in{channel}_input": f"{millivolts}\n",
        f"{folder}/curr{channel}_input": f"{milliamperes}\n",
    }


ORIN_NANO: Tree = {
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0",
    **_compatible("nvidia,p3768-0000+p3767-0005-super", "nvidia,p3767-0005", "nvidia,tegra234"),
    **_release(36, "4.3"),
    **_rail(1, 1, "VDD_IN", 5112, 912),
    **_rail(1, 2, "VDD_CPU_GPU_CV", 5104, 160),
    **_rail(1, 3, "VDD_SOC", 5096, 312),
    "sys/class/hwmon/hwmon1/in4_label": "NC\n",
    "sys/class/hwmon/hwmon1/in7_label": "sum of shunt voltages\n",
    "sys/class/hwmon/hwmon1/in7_input": "999\n",
    "sys/class/hwmon/hwmon1/curr7_input": "999\n",
    "sys/class/hwmon/hwmon3/name": "soctherm_oc\n",
    "sys/class/hwmon/hwmon3/oc1_event_cnt": "0\n",
    "sys/class/hwmon/hwmon3/oc2_event_cnt": "4\n",
    "sys/class/hwmon/hwmon3/oc3_event_cnt": "17\n",
    **_cpu(0, 729600, 1510400),
    **_cpu(1, 729600, 1510400),
    **_gpu("17000000.gpu", 306000000, 624750000, 624750000),
    **_zones(cpu_thermal=46.531, gpu_thermal=48.218, cv0_thermal=-256, tj_thermal=48.843),
}

# Orin with JetPack 7: the GPU's node has the chip's name.
AGX_ORIN: Tree = {
    "proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit\0",
    **_compatible("nvidia,p3737-0000+p3701-0005", "nvidia,p3701-0005", "nvidia,tegra234"),
    **_release(39, "2.0"),
    **_rail(4, 1, "VDD_GPU_SOC", 5139, 1000),
    **_rail(4, 2, "VDD_CPU_CV", 3268, 1000),
    **_rail(5, 1, "VIN_SYS_5V0", 5000, 1100),
    **_cpu(0, 2201600, 2201600),
    **_gpu("17000000.ga10b", 1300500000, 1300500000, 1300500000),
    **_zones(cpu_thermal=52.968, gpu_thermal=47.625),
}

THOR: Tree = {
    "proc/device-tree/model": "NVIDIA Jetson AGX Thor Developer Kit\0",
    **_compatible("nvidia,p3971-0050+p3834-0008", "nvidia,p3834-0008", "nvidia,tegra264"),
    **_release(38, "2.1"),
    **_rail(2, 1, "VIN", 20000, 1500),
    **_gpu("gpu-gpc-0", 315000000, 1000000000, 1575000000),
    **_gpu("gpu-nvd-0", 315000000, 900000000, 1692000000),
}

AGX_XAVIER: Tree = {
    "proc/device-tree/model": "Jetson-AGX\0",
    **_compatible("nvidia,p2972-0000", "nvidia,tegra194"),
    **_release(35, "4.1"),
    **_rail(6, 1, "GPU", 19000, 60),
    **_rail(6, 2, "CPU", 19000, 20),
    **_gpu("17000000.gv11b", 114750000, 1377000000, 1377000000),
    **_zones(GPU_therm=28, PMIC_Die=50),
}

XAVIER_NX: Tree = {
    "proc/device-tree/model": "NVIDIA Jetson Xavier NX Developer Kit\0",
    **_compatible("nvidia,p3509-0000+p3668-0000", "nvidia,p3668-0000", "nvidia,tegra194"),
    **_release(35, "6.4"),
    **_rail(6, 1, "VDD_IN", 5079, 1000),
}

# JetPack 4 has iio nodes, in mW.
NANO: Tree = {
    "proc/device-tree/model": "NVIDIA Jetson Nano Developer Kit\0",
    **_compatible("nvidia,p3450-0000", "nvidia,p3448-0000", "nvidia,tegra210"),
    **_release(32, "7.1"),
    "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_0": "POM_5V_IN\n",
    "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power0_input": "2003\n",
    "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_1": "POM_5V_GPU\n",
    "sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power1_input": "0\n",
    **_gpu("57000000.gpu", 76800000, 76800000, 921600000),
    **_zones(CPU_therm=32, PMIC_Die=50, GPU_therm=30.5),
}

PI_5: Tree = {
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    **_compatible("raspberrypi,5-model-b", "brcm,bcm2712"),
    **_zones(cpu_thermal=48.3),
}
PI_3: Tree = {
    "sys/firmware/devicetree/base/model": "Raspberry Pi 3 Model B Plus Rev 1.3\0",
    "sys/firmware/devicetree/base/compatible": "raspberrypi,3-model-b-plus\0brcm,bcm2837\0",
}
ROCK: Tree = {
    "proc/device-tree/model": "Radxa ROCK 5B\0",
    **_compatible("radxa,rock-5b", "rockchip,rk3588"),
}
PC: Tree = {"sys/class/dmi/id/product_name": "NUC13ANHi7\n"}
