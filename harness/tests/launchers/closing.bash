# Closes every descriptor above 2 and becomes the launcher that is named.
# Some launchers (bubblewrap) hand on whatever they inherited.
for path in /proc/$$/fd/*; do
    number=${path##*/}
    if ((number > 2)); then eval "exec $number<&-"; fi
done
exec "$@"
