"""The wheel holds a compiled library (not an extension module): any Python 3, but this platform only."""

import sysconfig

import setuptools
from setuptools.command.bdist_wheel import bdist_wheel


class PlatformWheel(bdist_wheel):
    def finalize_options(self):
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self):
        return "py3", "none", sysconfig.get_platform().replace("-", "_").replace(".", "_")


class BinaryDistribution(setuptools.Distribution):
    def has_ext_modules(self):
        return True


setuptools.setup(cmdclass={"bdist_wheel": PlatformWheel}, distclass=BinaryDistribution)
