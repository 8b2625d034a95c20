{{- define "fairway.labels" -}}
app.kubernetes.io/name: fairway
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "fairway.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* Fields of the FairwayConfiguration that follow from other values, below those that are given. */}}
{{- define "fairway.config" -}}
{{- $implied := dict "apiVersion" "fairway.dev/v1alpha1" "kind" "FairwayConfiguration" }}
{{- if not .Values.serviceProxy.enabled }}
{{- $_ := set $implied "serviceProxy" false }}
{{- end }}
{{- if not .Values.ingress.enabled }}
{{- $_ := set $implied "ingress" false }}
{{- else if and (eq .Values.service.type "LoadBalancer") (not (or .Values.config.publishStatusAddress .Values.config.publishNodeAddresses)) }}
{{- $_ := set $implied "publishService" (printf "%s/fairway-ingress" .Release.Namespace) }}
{{- end }}
{{- toYaml (merge (deepCopy .Values.config) $implied) }}
{{- end }}

{{- define "fairway.healthPort" -}}
{{ ternary 10256 10266 .Values.serviceProxy.enabled }}
{{- end }}

{{- define "fairway.metricsPort" -}}
{{ ternary 10249 10269 .Values.serviceProxy.enabled }}
{{- end }}

{{- define "fairway.subject" -}}
- kind: ServiceAccount
  name: fairway
  namespace: {{ .Release.Namespace }}
{{- end }}

{{- define "fairway.clusterRoleBinding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ .name }}
  labels:
    {{- include "fairway.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ .name }}
subjects:
{{ include "fairway.subject" .root }}
{{- end }}
