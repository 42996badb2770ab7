#!/bin/bash
# Builds the Debian package of a finished release build: packaging/build-deb.sh BUILD OUT [VERSION]. Needs no root.
# It takes what `meson install` installs, so that the package and `make install` cannot differ, and adds what only a package has.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(realpath "$1")
out=$2
version=${3:-$(meson introspect --projectinfo "$build" | sed -n 's/.*"version": "\([^"]*\)".*/\1/p')}
# Of the last change, so that the same tree gives the same package.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2> /dev/null || stat -c %Y meson.build)}
export SOURCE_DATE_EPOCH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -m 0755 "$root"
DESTDIR=$work/stage meson install -C "$build" --no-rebuild --quiet
mv "$work/stage/$(meson introspect --buildoptions "$build" |
  /usr/bin/python3 -c 'import json, sys; print(next(o["value"] for o in json.load(sys.stdin) if o["name"] == "prefix"))')" "$root/usr"

find "$root/usr" -name "*.pc" -exec sed -i 's,^prefix=.*,prefix=/usr,' {} +
install -D -m 0644 etc/shoald.conf "$root/etc/shoal/shoald.conf"
# The one option that has no default: where the data are.
sed -i '/^#data =/c data = /var/lib/shoal' "$root/etc/shoal/shoald.conf"
grep -q '^data = /var/lib/shoal$' "$root/etc/shoal/shoald.conf" || { echo "etc/shoald.conf has no line for node.data" >&2; exit 1; }
install -D -m 0644 packaging/systemd/shoald.service "$root/usr/lib/systemd/system/shoald.service"
install -D -m 0644 packaging/systemd/shoal.sysusers "$root/usr/lib/sysusers.d/shoal.conf"
install -D -m 0644 packaging/systemd/shoal.tmpfiles "$root/usr/lib/tmpfiles.d/shoal.conf"
install -D -m 0644 packaging/debian/copyright "$root/usr/share/doc/shoal/copyright"
printf 'shoal (%s) unstable; urgency=medium\n\n  * As of the tree; its log of changes says what is new.\n\n -- Shoal developers <shoal@localhost>  %s\n' \
  "$version" "$(date -Ru -d "@$SOURCE_DATE_EPOCH")" | gzip -9n > "$root/usr/share/doc/shoal/changelog.gz"
chmod 0644 "$root/usr/share/doc/shoal/changelog.gz"
find "$root/usr/bin" "$root/usr/lib" -type f -exec sh -c 'head -c 4 "$1" | grep -q ELF' sh {} \; -exec strip --strip-unneeded {} +
find "$root/usr/share/man" -type f ! -name '*.gz' -exec gzip -9n {} +
chmod -R u=rwX,go=rX "$root"
find "$root/usr/lib" -name '*.so*' -type f -exec chmod 0644 {} +

mkdir -p "$work/debian" "$root/DEBIAN"
printf 'Source: shoal\n\nPackage: shoal\nArchitecture: any\n' > "$work/debian/control"
mapfile -t programs < <(find "$root/usr" -type f -exec sh -c 'head -c 4 "$1" | grep -q ELF' sh {} \; -print)
shlibs=$(cd "$work" && dpkg-shlibdeps -O --ignore-missing-info -l"$(dirname "$(find "$root" -name 'libshoal-data.so.0' | head -1)")" \
  "${programs[@]}" 2> /dev/null | sed -n 's/^shlibs:Depends=//p')
[ -n "$shlibs" ] || { echo "dpkg-shlibdeps found no libraries" >&2; exit 1; }
architecture=$(dpkg --print-architecture)
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@SHLIBS@/$shlibs/" \
  -e "s/@SIZE@/$(du -k -s "$root" | cut -f1)/" packaging/debian/control > "$root/DEBIAN/control"
install -m 0644 packaging/debian/conffiles "$root/DEBIAN/conffiles"
install -m 0755 packaging/debian/postinst packaging/debian/prerm packaging/debian/postrm "$root/DEBIAN/"
echo 'activate-noawait ldconfig' > "$root/DEBIAN/triggers"
echo 'libshoal-data 0 shoal' > "$root/DEBIAN/shlibs"
chmod 0644 "$root/DEBIAN/triggers" "$root/DEBIAN/shlibs"
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) > "$root/DEBIAN/md5sums"
chmod 0644 "$root/DEBIAN/md5sums"
find "$root" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
mkdir -p "$out"
package=$out/shoal_${version}_$architecture.deb
dpkg-deb --root-owner-group --build "$root" "$package" > /dev/null
echo "$package"
