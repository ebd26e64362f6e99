# fish completion for knockd
set -l verbs demo init check try confirm status open close reload rehearse unhide convert guard
set -l none "not __fish_seen_subcommand_from $verbs"
set -l no_demo "not __fish_seen_subcommand_from demo"

function __knockd_doors
	sed -n 's/^[[:space:]]*\[\([^]]*\)\][[:space:]]*$/\1/p' /etc/knockd.conf 2>/dev/null | grep -vix options
end

complete -c knockd -f
complete -c knockd -n $none -a demo -d 'show a whole knock in namespaces of its own'
complete -c knockd -n $none -a init -d 'write a first configuration that hides ssh'
complete -c knockd -n $none -a check -d 'say what is wrong with the configuration'
complete -c knockd -n $none -a try -d 'put the configuration in force for a while'
complete -c knockd -n $none -a confirm -d 'keep what is on trial'
complete -c knockd -n $none -a status -d 'show interfaces, doors and who is in'
complete -c knockd -n $none -a open -d 'let an address in without a knock'
complete -c knockd -n $none -a close -d 'end what an address was let in to'
complete -c knockd -n $none -a reload -d 'read the configuration anew'
complete -c knockd -n $none -a rehearse -d 'who would have been locked out'
complete -c knockd -n $none -a unhide -d 'show every port'
complete -c knockd -n $none -a convert -d 'turn firewall commands into native doors'
complete -c knockd -n $none -a guard -d 'hide the ports without a daemon'
complete -c knockd -n '__fish_seen_subcommand_from open close' -a '(__knockd_doors)'
complete -c knockd -n '__fish_seen_subcommand_from try' -a '5m 10m 30m'
complete -c knockd -n '__fish_seen_subcommand_from check' -l errors -d 'fail for errors only'
complete -c knockd -n '__fish_seen_subcommand_from confirm' -l force -d 'without a connection'
complete -c knockd -n '__fish_seen_subcommand_from status rehearse convert' -l json -d 'print JSON'
complete -c knockd -n $no_demo -s c -l config -r -F -d configuration
complete -c knockd -n $none -s i -l interface -x -a '(command ls /sys/class/net) any default' -d 'where to listen'
complete -c knockd -n $none -s d -l daemon -d 'run in the background'
complete -c knockd -n $none -s D -l debug -d 'say more'
complete -c knockd -n $none -s l -l lookup -d 'look up names'
complete -c knockd -n $none -s p -l pidfile -r -F -d 'pid file'
complete -c knockd -n $none -s g -l logfile -r -F -d 'log file'
complete -c knockd -n $none -s v -l verbose -d 'print the log'
complete -c knockd -n $none -s 4 -l only-ip-v4 -d 'ignore IPv6'
complete -c knockd -n $none -s V -l version -d 'print the version'
complete -c knockd -s h -l help -d 'print the usage'
