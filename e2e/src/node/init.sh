# The first process of a node. It gives the node a /run, /var/lib and /var/log of its own, so that
# containerd and the kubelet find their usual paths and nothing of theirs is seen outside, then takes
# leave of orphans until it is killed: with it go all processes and mounts of the node.
# Arguments: the name of the node's control groups, its folder, then folders of programs that must stay
# in sight.
set -eu
groups=$1
shift

descriptors=()
for folder in "$@"; do
    exec {descriptor}<"$folder"
    descriptors+=("$descriptor")
done
state=/proc/self/fd/${descriptors[0]}

# In every hierarchy of control groups, the node's own group becomes all that the node sees: its
# containers' groups are in it, whatever containerd and the kubelet call them.
grep -E '^[^ ]+ [^ ]+ cgroup2? ' /proc/self/mounts | while read -r _ hierarchy _; do
    parent=$hierarchy
    for group in "$hierarchy${groups%/*}" "$hierarchy$groups"; do
        mkdir -p "$group"
        if [ -e "$parent/cgroup.controllers" ]; then # version 2
            for controller in $(cat "$parent/cgroup.controllers"); do
                echo "+$controller" >"$parent/cgroup.subtree_control" || true
            done
        elif [ -e "$parent/cpuset.cpus" ]; then # version 1, in which a new group has no processor
            cat "$parent/cpuset.cpus" >"$group/cpuset.cpus"
            cat "$parent/cpuset.mems" >"$group/cpuset.mems"
        fi
        parent=$group
    done
    mount --bind "$hierarchy$groups" /mnt
    umount "$hierarchy"
    mount --bind /mnt "$hierarchy"
    umount /mnt
done

# Containers must see the volumes that the kubelet mounts after they started.
mount --make-rshared /
mount -t tmpfs -o mode=755 tmpfs /run
for folder in lib log; do
    mkdir -p "$state/var/$folder"
    mount --no-canonicalize --bind "$state/var/$folder" "/var/$folder"
done
# The folders we were given may have been below one of these: only their descriptors still lead there.
index=0
for folder in "$@"; do
    mkdir -p "$folder"
    mount --no-canonicalize --bind "/proc/self/fd/${descriptors[$index]}" "$folder"
    index=$((index + 1))
done

# The kubelet sets these for the whole machine unless it finds them as it wants them: it shall.
mkdir /run/sysctl
while read -r name value; do
    echo "$value" >"/run/sysctl/${name//\//-}"
    mount --bind "/run/sysctl/${name//\//-}" "/proc/sys/$name"
done <<END
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
END

if ! [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]; then
    echo "the kernel module br_netfilter is not loaded: run 'modprobe br_netfilter' once" >&2
    exit 1
fi
echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
echo 1 >/proc/sys/net/ipv4/ip_forward

touch "$1/node.ready"
while :; do
    sleep 86400 &
    wait $!
done
