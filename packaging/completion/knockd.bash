# bash completion for knockd and knock

_knockd_doors() {
	sed -n 's/^[[:space:]]*\[\([^]]*\)\][[:space:]]*$/\1/p' /etc/knockd.conf 2>/dev/null | grep -vix options
}

_knockd() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb=${COMP_WORDS[1]} words
	COMPREPLY=()
	case $prev in
	-c | --config | -g | --logfile | -p | --pidfile)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	-i | --interface)
		mapfile -t COMPREPLY < <(compgen -W "any default $(ls /sys/class/net 2>/dev/null)" -- "$cur")
		return
		;;
	esac
	if [[ $COMP_CWORD -eq 1 && $cur != -* ]]; then
		words="demo init check try confirm status open close reload rehearse unhide convert guard"
	elif [[ $cur == -* ]]; then
		case $verb in
		-*) words="--interface --daemon --config --debug --lookup --pidfile --logfile --verbose --only-ip-v4 --version --help" ;;
		demo) words="--help" ;;
		check) words="--config --errors --help" ;;
		confirm) words="--config --force --help" ;;
		status | rehearse | convert) words="--config --json --help" ;;
		*) words="--config --help" ;;
		esac
	else
		case $verb in
		open | close) words=$(_knockd_doors) ;;
		try) words="5m 10m 30m" ;;
		esac
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _knockd knockd

_knock() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	COMPREPLY=()
	if [[ $prev == --interface ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(ls /sys/class/net 2>/dev/null)" -- "$cur")
	elif [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "--udp --delay --ipv4 --ipv6 --interface --source --verbose --version --help" -- "$cur")
	elif [[ $COMP_CWORD -eq 1 ]]; then
		mapfile -t COMPREPLY < <(compgen -A hostname -- "$cur")
	fi
}
complete -F _knock knock
