# The AWS CLI, a new process for each call: one line for each, `ok` or the error. $2, if any, comes before each.
call() {
    if said="$( (eval "${before:-:}" && exec "$@") 2>&1)"; then
        echo ok
    else
        echo "$said" | tr '\n' ' '
        echo
    fi
}
before="${2-}"
end=$(($(date +%s) + $1))
while [ "$(date +%s)" -lt "$end" ]; do
    call aws sts get-caller-identity
    call aws ec2 describe-instances
    sleep 1
done
