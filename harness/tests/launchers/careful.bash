# A launcher that gives away nothing: no descriptor above 2, no variable, other
# ids than its own, and a root that holds the program's own file and no more.
# It knows nothing of the harness, and refuses every path that it was not told of.
#
# PROGRAM ARGUMENT...: becomes a sandbox that runs PROGRAM, as /program.
program=$1
shift
for path in /proc/$$/fd/*; do
    number=${path##*/}
    if ((number > 2)); then eval "exec $number<&-"; fi
done
# An ordinary user has no other id to change to than those of a user namespace.
change=()
if ((EUID == 0)); then
    change=(setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all)
fi
exec "${change[@]}" bwrap \
    --unshare-all --die-with-parent --new-session --clearenv --cap-drop ALL \
    --uid 1000 --gid 1000 --hostname careful \
    --ro-bind "$program" /program --chdir / --remount-ro / \
    /program "$@"
